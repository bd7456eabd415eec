"""``autoreview schema``: the JSON Schema of rule files."""

from service.console.output import print_json
from service.rules import schema as rules_schema


def schema() -> None:
    """Print the JSON Schema of rule files, for editors."""
    print_json(rules_schema())
