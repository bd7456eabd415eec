"""Notifications: alerts are written to an outbox, each once, and sent to the configured URLs."""
