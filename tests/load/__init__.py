"""A database filled like that of a service at work for long, and what is asked of it."""
