"""``autoreview schema``: prints the JSON Schema of rule files."""

from service.console.output import print_json


def schema() -> None:
    """Print the JSON Schema of rule files, for editors."""
    from service.rules import schema as rules_schema

    print_json(rules_schema())
