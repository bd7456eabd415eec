"""Rules: YAML files and facts in, verdicts out."""

from service.rules.book import RuleBook, check, check_counted, load
from service.rules.cases.junit import failure_lines, junit_xml
from service.rules.cases.run import CaseResult, Failure, run, unreached
from service.rules.catalogue import CATALOGUE, FACTS, origin
from service.rules.delivery import Delivery, understand
from service.rules.evidence import Signature, Source, Validated
from service.rules.facts import FieldType
from service.rules.format.findings import MEANINGS, Code, Finding, InvalidRules
from service.rules.format.schema import schema
from service.rules.limits import Limits, RejectLimit, ReturnLimit, RewardLimit
from service.rules.lint.policy import ADVICE, Policy
from service.rules.rulefile import RuleFile

__all__ = [
    "ADVICE",
    "CATALOGUE",
    "FACTS",
    "MEANINGS",
    "CaseResult",
    "Code",
    "Delivery",
    "Failure",
    "FieldType",
    "Finding",
    "InvalidRules",
    "Limits",
    "Policy",
    "RejectLimit",
    "ReturnLimit",
    "RewardLimit",
    "RuleBook",
    "RuleFile",
    "Signature",
    "Source",
    "Validated",
    "check",
    "check_counted",
    "failure_lines",
    "junit_xml",
    "load",
    "origin",
    "run",
    "schema",
    "understand",
    "unreached",
]
