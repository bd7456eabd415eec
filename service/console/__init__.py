"""How commands print: JSON for scripts, tables and sentences for people."""
