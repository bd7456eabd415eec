"""The rule format: the model, the tree of a YAML file, and findings with their places."""
