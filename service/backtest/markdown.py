"""The result as Markdown, for a comment on a pull request. Pure."""

import re
from collections.abc import Iterable, Iterator, Sequence

from service.backtest.causes import Difference
from service.backtest.comparison import Comparison
from service.backtest.intervals import Rate, rate
from service.backtest.judged import decider
from service.domain.decision import Outcome
from service.domain.printable import printable

SHOWN = 50
SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|~!@])")


def markdown(result: Comparison, causes: Sequence[Difference], failures: Sequence[str]) -> str:
    """Return a page of tables: the matrix, what each difference causes, what changed, the rules."""
    changed = len(result.changed)
    title = f"## Backtest: {changed} of {result.submissions} submissions change"
    parts = [title, *(f"**Fails:** {_text(failure)}" for failure in failures), *_matrix(result)]
    if result.contradictions:
        parts.append(f"**{result.contradictions} contradict a manual decision.**")
    parts += _causes(causes)
    parts += [rejections(result), *_changed(result), *_rules(result)]
    if result.as_of_now:
        parts.append(f"{result.as_of_now} submissions were judged by facts that are known only as of now.")
    return "\n\n".join(parts) + "\n"


def _text(value: object) -> str:
    """Return a text that stands in a cell as it is: no markup, no mention, one line."""
    return SPECIAL.sub(r"\\\1", printable(str(value)))


def _table(head: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    names = [_text(name) for name in head]
    lines = [names, ["---"] * len(names), *([_text(cell) for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _matrix(result: Comparison) -> Iterator[str]:
    olds = sorted({old for old, _ in result.matrix})
    news = sorted({new for _, new in result.matrix})
    rows = ([old, *(result.matrix[old, new] for new in news)] for old in olds)
    if olds:
        yield _table(["old \\ new", *news], rows)


def _causes(causes: Sequence[Difference]) -> Iterator[str]:
    if causes:
        rows = ([cause.rule, cause.difference, cause.changes] for cause in causes)
        yield "### Each difference alone"
        yield _table(["rule", "difference", "outcomes changed"], rows)


def rejections(result: Comparison) -> str:
    """Return the number of new rejections as a sentence, with the interval of their share."""
    found = rate(result.new(Outcome.REJECT), result.submissions)
    return f"Rejections: {found.number} of {result.submissions}, {_percent(found)}."


def _percent(found: Rate) -> str:
    return f"{100 * found.share:.1f} % (95 % interval {100 * found.low:.1f} to {100 * found.high:.1f} %)"


def _changed(result: Comparison) -> Iterator[str]:
    if not result.changed:
        return
    ordered = result.in_order()
    yield "### Changed submissions"
    yield _table(
        ["submission", "old", "new", "old rule", "new rule", "manual", "reason"],
        (
            [
                one.submission_id,
                one.old.outcome if one.old else "",
                one.new.outcome,
                decider(one.old.rule if one.old else None, is_manual=one.is_manual),
                decider(one.new.rule),
                "yes" if one.is_manual else "",
                one.new.reason,
            ]
            for one in ordered[:SHOWN]
        ),
    )
    if len(ordered) > SHOWN:
        yield f"… and {len(ordered) - SHOWN} more."


def _rules(result: Comparison) -> Iterator[str]:
    yield "### Rules"
    rows = (
        [
            count.labelled(rule),
            count.reached or "never",
            count.matched,
            count.unknown,
            ", ".join(f"{field} ({number})" for field, number in count.because.most_common()),
        ]
        for rule, count in result.rules.items()
    )
    yield _table(["rule", "reached", "matched", "unknown", "because of"], rows)
