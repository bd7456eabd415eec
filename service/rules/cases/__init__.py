"""The tests in rule files."""
