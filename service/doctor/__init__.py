"""``autoreview doctor``: whether everything that the service needs is as it should be, and what to do if not."""
