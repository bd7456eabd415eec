"""Names that one part of a rule file declares and another part uses, read from its tree."""

from service.rules import cel
from service.rules.catalogue import FACTS
from service.rules.conditions import Conditions
from service.rules.evidence import ENDINGS, EVIDENCE_TYPES, RECEIVED, name_problem
from service.rules.facts import FieldType
from service.rules.format import document
from service.rules.format.document import Node, Scalar, Sequence
from service.rules.format.findings import shortened
from service.rules.format.reading import Claims, Reading


def subjects(tree: Node) -> dict[str, str]:
    """Return how findings call each rule and test, by its path: by name, without a name by its number."""
    return {
        f"{kind}s[{index}]": f"{kind} {_name(node) or index + 1}"
        for kind in ("rule", "test")
        for index, node in enumerate(items_of(node_at(tree, f"{kind}s")))
    }


def _name(node: Node) -> str:
    name = node_at(node, "name")
    return f"‘{shortened(name.value)}’" if isinstance(name, Scalar) and name.value.strip() else ""


def context(tree: Node, claims: Claims) -> Reading:
    """Collect the names that one part declares and another uses, also in a file with errors."""
    sources = [name for name in _entries(node_at(tree, "evidence")) if name_problem(name) is None]
    types: dict[str, FieldType | None] = dict(FACTS)
    for source in sources:
        fields = _entries(node_at(tree, "evidence", source, "fields"))
        types |= {
            f"evidence.{source}.{field}": _kind(node)
            for field, node in fields.items()
            if not name_problem(field)
        }
        types |= {
            f"evidence.{source}.{field}{ending}": FieldType.INT
            for field, node in fields.items()
            for use, ending in ENDINGS.items()
            if (on := node_at(node, use)) and isinstance(on, Scalar) and on.value == "true"
        }
        types[f"evidence.{source}.{RECEIVED}"] = FieldType.BOOL
    rules = items_of(node_at(tree, "rules"))
    named = [(node_at(rule, "name"), node_at(rule, "observe")) for rule in rules]
    names = [name.value for name, _ in named if isinstance(name, Scalar)]
    observed = [name.value for name, observe in named if isinstance(name, Scalar) and _observes(observe)]
    conditions = Conditions(types, cel.Environment(types))
    browser = [source for source in sources if node_at(tree, "evidence", source, "cors") is not None]
    return Reading(types, sources, names, observed, conditions, claims, browser)


def node_at(node: Node | None, *keys: str) -> Node | None:
    for key in keys:
        node = _entries(node).get(key)
    return node


def _entries(node: Node | None) -> dict[str, Node]:
    entries = node.entries if isinstance(node, document.Mapping) else {}
    return {key: value for key, (_, value) in entries.items()}


def items_of(node: Node | None) -> list[Node]:
    return node.items if isinstance(node, Sequence) else []


def _kind(node: Node) -> FieldType | None:
    kind = node_at(node, "type") if isinstance(node, document.Mapping) else node
    parsed = kind.value if isinstance(kind, Scalar) else ""
    return FieldType(parsed) if parsed in EVIDENCE_TYPES else None


def _observes(node: Node | None) -> bool:
    """Return True for any value but ``false``. An invalid value is an error of its own."""
    return node is not None and not (isinstance(node, Scalar) and node.is_bool and node.value == "false")
