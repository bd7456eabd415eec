"""Autoreview: the unattended reviewer of a study's submissions on Prolific."""

__version__ = "0.1.0"
