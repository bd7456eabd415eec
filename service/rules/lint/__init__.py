"""Checks of what a rule says: Prolific's policy, costs, and hints for wrong conditions."""
