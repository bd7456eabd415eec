"""The HTTP API for people and scripts: decisions, submissions, the state of the service."""
