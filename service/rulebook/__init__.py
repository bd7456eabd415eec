"""Which rules are in force: loaded at the start, watched for changes, kept in the database."""
