"""What is kept in PostgreSQL: the inbox, evidence, what was last seen, decisions and attempts."""
