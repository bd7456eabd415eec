"""``--fail-if "reject > 2%"``: conditions on the result under which the command fails. Pure."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from operator import eq, ge, gt, le, lt

from service.backtest.comparison import Comparison
from service.domain.decision import Outcome
from service.errors import ConfigurationError

WRITTEN = re.compile(
    r"\s*(?P<name>\w+)\s*(?P<sign><=|>=|==|<|>)\s*(?P<number>\d+(?:\.\d+)?)\s*(?P<percent>%?)\s*"
)
SIGNS: Mapping[str, Callable[[float, float], bool]] = {"<": lt, "<=": le, ">": gt, ">=": ge, "==": eq}
CHANGED, CONTRADICTIONS = "changed", "contradictions"
NAMES = (*(outcome.value for outcome in Outcome), CHANGED, CONTRADICTIONS)


@dataclass(frozen=True, slots=True)
class FailIf:
    """A condition. ``limit`` is a number of submissions, or a share of them in percent."""

    text: str
    name: str
    sign: str
    limit: float
    is_share: bool

    @classmethod
    def parse(cls, text: str) -> "FailIf":
        """Raise ConfigurationError that says how to write it."""
        found = WRITTEN.fullmatch(text)
        if found is None:
            raise ConfigurationError(
                f'--fail-if {text!r} can\'t be read: write a name, a sign and a number, such as "reject > 2%" or '
                f'"changed > 0". Names: {", ".join(NAMES)}. Signs: {" ".join(SIGNS)}.'
            )
        if found["name"] not in NAMES:
            raise ConfigurationError(f"--fail-if {text!r}: {found['name']} is none of {', '.join(NAMES)}.")
        return cls(text.strip(), found["name"], found["sign"], float(found["number"]), bool(found["percent"]))

    def failure(self, result: Comparison) -> str | None:
        """Return why the result meets the condition, None if it does not."""
        number = self._number(result)
        share = 100 * number / result.submissions if result.submissions else 0.0
        if not SIGNS[self.sign](share if self.is_share else number, self.limit):
            return None
        return f"{self.text}: {self.name} is {number} of {result.submissions} ({share:.1f} %)"

    def _number(self, result: Comparison) -> int:
        match self.name:
            case "changed":
                return len(result.changed)
            case "contradictions":
                return result.contradictions
            case outcome:
                return result.new(outcome)
