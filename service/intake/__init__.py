"""Prolific's signed webhooks: verified, stored with the review they call for, and only then answered."""
