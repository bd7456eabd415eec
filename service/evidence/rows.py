"""The rows of a delivery: read each, and store what is accepted."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from service.domain.decision import Trigger
from service.domain.evidence import EvidenceOrigin
from service.evidence.refusals import DeliveryRefused
from service.rules import Delivery, RuleBook, RuleFile, understand
from service.store.evidence import NewEvidence, add_evidence, newest_evidence
from service.store.queue import enqueue_reviews
from service.store.submissions import studies_and_parents

BREATH = 100  # rows that are read before the event loop runs other tasks

# The study and its parent of each submission that was seen.
Studies = Mapping[str, tuple[str | None, str | None]]


@dataclass(frozen=True, slots=True)
class Reading:
    """A document as one rule file understands it."""

    file: RuleFile
    delivery: Delivery


@dataclass(frozen=True, slots=True)
class RowAnswer:
    """The result of a row: stored as ``evidence``, ``refused``, or neither because it repeats the newest payload."""

    submission: str | None
    evidence: NewEvidence | None = None
    refused: DeliveryRefused | None = None
    warnings: tuple[str, ...] = ()

    @property
    def status(self) -> int:
        """The status of HTTP that the row has by itself."""
        return self.refused.status if self.refused else 202 if self.evidence else 200

    def as_dict(self) -> dict[str, Any]:
        row: dict[str, Any] = {"submission_id": self.submission, "status": self.status}
        if self.refused:
            row["error"] = str(self.refused)
        if self.warnings:
            row["warnings"] = list(self.warnings)
        return row


async def read_rows(
    source: str, files: Sequence[RuleFile], rows: Sequence[Mapping[str, Any] | str]
) -> list[list[Reading] | RowAnswer]:
    """Read each row as every file understands it; a row that can't be read is answered at once."""
    read: list[list[Reading] | RowAnswer] = []
    for number, row in enumerate(rows, 1):
        if isinstance(row, str):
            message = f"Source {source}, row {number}: {row}."
            read.append(RowAnswer(None, refused=DeliveryRefused(422, "not_an_object", message)))
        else:
            read.append(_readings(source, files, row))
        if number % BREATH == 0:
            await asyncio.sleep(0)
    return read


def _readings(source: str, files: Sequence[RuleFile], document: Mapping[str, Any]) -> list[Reading]:
    """Group files that declare the source in the same way: the row is read once for them."""
    found: list[Reading] = []
    for file in files:
        same = (one.delivery for one in found if one.file.evidence[source] == file.evidence[source])
        delivery = next(same, None) or understand(file.evidence[source], document)
        found.append(Reading(file, delivery))
    return found


async def store_rows(
    connection: AsyncConnection,
    source: str,
    read: Sequence[list[Reading] | RowAnswer],
    book: RuleBook,
    origin: EvidenceOrigin = EvidenceOrigin.PUSH,
) -> list[RowAnswer]:
    """Store what is accepted of the rows, with a review of each submission, as part of the transaction."""
    readings = [one for row in read if isinstance(row, list) for one in row]
    submissions = sorted({found for one in readings if (found := one.delivery.submission)})
    studies = await studies_and_parents(connection, submissions)
    newest = await newest_evidence(connection, source, submissions)
    answers: list[RowAnswer] = []
    for row in read:
        answer = row if isinstance(row, RowAnswer) else _answer(source, row, studies, book, origin)
        if (new := answer.evidence) is not None:
            # Platforms deliver again after a lost answer. A review would find nothing new.
            if new.is_repeat(newest.get(new.submission)):
                answer = RowAnswer(new.submission, warnings=answer.warnings)
            newest[new.submission] = new
        answers.append(answer)
    stored = [answer.evidence for answer in answers if answer.evidence]
    await add_evidence(connection, stored)
    reviewed = dict.fromkeys(one.submission for one in stored)
    await enqueue_reviews(connection, reviewed, Trigger.EVIDENCE)
    return answers


def _answer(
    source: str, readings: Sequence[Reading], studies: Studies, book: RuleBook, origin: EvidenceOrigin
) -> RowAnswer:
    """Choose the file that the row is read by: that of the submission's study, else each that it fits."""
    # Evidence often arrives before the webhook, so that the study is not known yet.
    candidates = [one for one in readings if _is_candidate(one, studies, book)]
    if not candidates:
        submission = readings[0].delivery.submission
        message = (
            f"The rule file of submission {submission}'s study declares no source {source} of this kind."
        )
        return RowAnswer(
            submission, refused=DeliveryRefused(404, "no_such_source", message, submission=submission)
        )
    accepted = next((one for one in candidates if not one.delivery.problems), None)
    if accepted is None or accepted.delivery.submission is None:
        return _refused(source, candidates[0].delivery)
    delivery = accepted.delivery
    values = delivery.fields.values
    # Files may read the same document differently: each then has its own values stored.
    is_shared = all(one.delivery == delivery for one in candidates)
    by_file = {
        one.file.path: dict(one.delivery.fields.values)
        for one in candidates
        if not one.delivery.problems and one.delivery.submission == delivery.submission
    }
    evidence = NewEvidence(
        source=source,
        submission=accepted.delivery.submission,
        values=dict(values),
        origin=origin,
        readings=None if is_shared else by_file,
        remarks=_remarks(accepted),
    )
    warnings = tuple(sentence for _, sentence in delivery.fields.warnings)
    return RowAnswer(delivery.submission, evidence, warnings=warnings)


def _is_candidate(reading: Reading, studies: Studies, book: RuleBook) -> bool:
    study, parent = studies.get(reading.delivery.submission or "", (None, None))
    return study is None or book.file_for(study, parent) is reading.file


def _remarks(reading: Reading) -> dict[str, str]:
    fields = reading.delivery.fields
    return dict(fields.absent) | dict(fields.warnings)


def _refused(source: str, delivery: Delivery) -> RowAnswer:
    submission, fields = delivery.submission, dict(delivery.problems)
    message = f"Source {source}, submission {submission or 'unknown'}: {'; '.join(fields.values())}."
    if "key" in fields:
        refused = DeliveryRefused(422, "no_key", message, fields=fields)
    elif "fields" in fields:
        refused = DeliveryRefused(422, "no_field", message, submission=submission, fields=fields)
    else:
        refused = DeliveryRefused(422, "evidence", message, submission=submission, fields=fields)
    return RowAnswer(submission, refused=refused)
