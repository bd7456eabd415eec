"""The way of rules: YAML files in, verdicts out."""

from service.rules.book import RuleBook, check, load
from service.rules.evidence import Source, Validated
from service.rules.facts import FACTS, FieldType
from service.rules.findings import MEANINGS, Code, Finding, InvalidRules
from service.rules.rulefile import Limits, RejectLimit, RuleFile

__all__ = [
    "FACTS",
    "MEANINGS",
    "Code",
    "FieldType",
    "Finding",
    "InvalidRules",
    "Limits",
    "RejectLimit",
    "RuleBook",
    "RuleFile",
    "Source",
    "Validated",
    "check",
    "load",
]
