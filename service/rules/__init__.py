"""The way of rules: YAML files in, verdicts out."""
