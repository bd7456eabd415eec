"""``autoreview doctor``: check everything that the service needs, and advise what to do."""
