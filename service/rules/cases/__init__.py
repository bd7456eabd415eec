"""The tests beside the rules."""
