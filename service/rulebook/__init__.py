"""The rules in force: loaded at the start, watched for changes, saved in the database."""
