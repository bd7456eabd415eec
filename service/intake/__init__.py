"""Prolific's signed webhooks: verified, stored together with the review job, and only then answered."""
