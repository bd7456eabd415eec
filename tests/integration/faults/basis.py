"""What decisions of a day rest on, as of any moment: the survey's word, and the rules in force."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from service.sandbox.studies import TWO_PARTS

LEAST = 2  # missed attention checks that are rejected

RULES = f"""
version: 1
name: A bad day
studies: [{TWO_PARTS}]
limits: {{reject: {{share: 100%, of_last: 50, per_day: 1000}}}}
evidence:
  survey:
    from: push
    fields: {{attention_failed: int}}
    wait: 30m
rules:
  - name: no code
    when: submission.code_type == "NONE"
    request_return: {{reasons: ["You entered no code, so please return the submission."]}}
  - name: wrong code
    when: submission.code_type == "UNKNOWN"
    hold: None of the study's codes.
  - name: half done
    when: submission.code_type == "HALF_DONE"
    complete: {{code_type: PARTIAL_PAYMENT, percentage_of_reward: 50, message_to_participant: Thank you.}}
  - name: failed two attention checks
    when: evidence.survey.attention_failed >= {LEAST}
    reject:
      category: FAILED_CHECK
      message: >-
        You missed {{evidence.survey.attention_failed}} of the attention checks in our study. Each asked for one
        particular answer, as its text said. If you think this is a mistake, please write to us.
otherwise: approve
"""
STRICT, LENIENT, APPROVING, OBSERVING = "strict", "lenient", "approving", "observing"
# Only the first rejects. Under the others what it would reject is approved, held, or left alone.
VARIANTS = {
    STRICT: RULES,
    LENIENT: RULES.replace(f">= {LEAST}", ">= 9"),
    APPROVING: f"{RULES}mode: approve-only\n",
    OBSERVING: f"{RULES}mode: observe\n",
}

THAWING = timedelta(seconds=15)  # for which one that slept may go by the rules that it knew


def now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Push:
    """One value that the survey sent; ``taken_at`` is when it was answered 202, None if it was not."""

    value: int
    sent_at: datetime
    taken_at: datetime | None


@dataclass
class Said:
    """The survey's word on a submission, in the order in which it was sent."""

    pushes: list[Push] = field(default_factory=list)

    @property
    def sent(self) -> list[int]:
        return [push.value for push in self.pushes]

    @property
    def taken(self) -> list[int]:
        return [push.value for push in self.pushes if push.taken_at]

    @property
    def got_worse(self) -> bool:
        """Whether the survey corrected itself to the participant's disadvantage: a person has to look."""
        good = [place for place, value in enumerate(self.sent) if value < LEAST]
        return any(value >= LEAST for value in self.sent[good[0] :]) if good else False

    def rejects(self, decided_at: datetime, arrived_at: datetime) -> bool:
        """Whether a rejection may rest on it that was decided and that arrived then.

        What was taken in by then counts, and a kinder word among that is held as a conflict. What was on its way
        may have been read.
        """
        kinder = [push for push in self.pushes if push.value < LEAST]
        bad = [push for push in self.pushes if push.value >= LEAST and push.sent_at <= arrived_at]
        return bool(bad) and not any(push.taken_at and push.taken_at <= decided_at for push in kinder)


@dataclass(frozen=True, slots=True)
class Change:
    """Rules of a variant were written, and some time later they were in force."""

    variant: str
    written_at: datetime
    in_force_at: datetime


@dataclass
class InForce:
    """Which rules were in force when."""

    changes: list[Change] = field(default_factory=list)
    thawed_at: list[datetime] = field(default_factory=list)

    @property
    def variants(self) -> Iterable[str]:
        return {change.variant for change in self.changes}

    def at(self, moment: datetime) -> set[str]:
        """The variants by which a decision of this moment may have been made."""
        if any(at <= moment <= at + THAWING for at in self.thawed_at):
            return {change.variant for change in self.changes if change.written_at <= moment}
        in_force = [change.variant for change in self.changes if change.in_force_at <= moment]
        coming = [
            change.variant for change in self.changes if change.written_at <= moment < change.in_force_at
        ]
        return {*in_force[-1:], *coming}
