"""What operators see and rely on: logs, metrics, health, and how HTTP errors read."""
