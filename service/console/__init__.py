"""Output of commands: JSON for scripts, tables and text for people."""
