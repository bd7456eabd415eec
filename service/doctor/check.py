"""One check and its result. A check that fails does not stop the others."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from service.connect.advice import advice
from service.errors import AutoreviewError, ConfigurationError

STEP_TIMEOUT = 30.0  # seconds
SET_RIGHT = "Correct it: docs/reference.md lists every setting."

# Return a short description. Raise Unwell or another error if the check fails.
Question = Callable[[], Awaitable[str]]


@dataclass(frozen=True, slots=True)
class Check:
    """The result of a check: what was found, and the ``fix`` if it is not ok."""

    name: str
    ok: bool
    detail: str
    fix: str | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """A check. It runs only if the check that it ``needs`` passed."""

    name: str
    question: Question
    needs: tuple[str, ...] = ()


class Unwell(AutoreviewError):
    """The check failed."""

    code = "unwell"

    def __init__(self, detail: str, fix: str, more: "Sequence[Unwell]" = ()) -> None:
        super().__init__(detail)
        self.fix = fix
        self.more = tuple(more)

    @classmethod
    def of(cls, problems: "Sequence[Unwell]") -> "Unwell":
        """Return several problems of one check, each of which becomes a line of its own."""
        first, *others = problems
        return cls(str(first), first.fix, others)


async def examine(step: Step, earlier: Mapping[str, Check]) -> list[Check]:
    """Return the checks of a step: one, or one for each of its problems."""
    for need in step.needs:
        if not earlier[need].ok:
            return [Check(step.name, False, f"not checked, because of {need}", f"See to {need} first.")]
    try:
        return [await _examine(step)]
    except Unwell as error:
        return [Check(step.name, False, one_line(str(one)), one.fix) for one in (error, *error.more)]


async def _examine(step: Step) -> Check:
    try:
        async with asyncio.timeout(STEP_TIMEOUT):
            return Check(step.name, True, one_line(await step.question()))
    # A check that hangs must not keep the others from being reported.
    except TimeoutError:
        return Check(step.name, False, f"no answer in {STEP_TIMEOUT:.0f} s", "Run it again in a minute.")
    except Unwell:
        raise
    except AutoreviewError as error:
        fix = (
            SET_RIGHT
            if isinstance(error, ConfigurationError)
            else advice(error) or "Look at the service's log."
        )
        return Check(step.name, False, one_line(str(error)), fix)
    except Exception as error:  # its text may quote a URL with a password
        return Check(step.name, False, f"failed with {type(error).__name__}", "Look at the settings it uses.")


def one_line(text: str) -> str:
    return "; ".join(line.strip() for line in text.splitlines() if line.strip())
