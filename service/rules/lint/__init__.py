"""Checks of rules: Prolific's policy, costs, impossible values, and hints for wrong conditions."""
