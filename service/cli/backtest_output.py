"""The result of a backtest in the terminal."""

from typing import TYPE_CHECKING, Any

from service.console.output import echo, print_table

if TYPE_CHECKING:
    from service.backtest.run import Result

SHOWN = 20  # changed submissions that people see in the terminal


def as_json_of(result: "Result") -> dict[str, Any]:
    """Return the result for scripts; of two rule folders also what each difference causes."""
    caused = {"causes": [cause.as_json() for cause in result.causes]} if result.causes else {}
    return result.comparison.as_json() | caused


def print_result(result: "Result") -> None:
    """Print the matrix, what changed, and how each rule fared."""
    from service.backtest.markdown import rejections

    report = as_json_of(result)
    echo(f"{report['submissions']} submissions of study {report['study']}, {len(report['changed'])} changed")
    outcomes = sorted({new for row in report["matrix"].values() for new in row})
    rows = (
        {"old": old, **{new: row.get(new, 0) for new in outcomes}} for old, row in report["matrix"].items()
    )
    print_table(("old", *outcomes), rows, title="old outcome (rows) by new outcome")
    if "causes" in report:
        print_table(("rule", "difference", "changes"), report["causes"], title="each difference alone")
    _print_changed(report["changed"])
    if result.comparison.contradictions:
        echo(f"{result.comparison.contradictions} contradict a manual decision.")
    money = result.comparison.money
    echo(rejections(result.comparison))
    echo(
        f"Paid: {money.approved_old / 100:,.2f} before, {money.approved_new / 100:,.2f} now. "
        f"{money.saved / 100:,.2f} taken away, {money.newly_paid / 100:,.2f} newly paid, {money.held / 100:,.2f} held."
    )
    counts = ("rule", "reached", "matched", "unknown", "because")
    rules = result.comparison.rules
    print_table(
        counts,
        (
            {
                **rule,
                "rule": rules[rule["rule"]].labelled(rule["rule"]),
                "because": _because(rule["unknown_because"]),
            }
            for rule in report["rules"]
        ),
    )
    if report["as_of_now"]:
        echo(f"{report['as_of_now']} submissions were judged by facts that are known only as of now.")


def _print_changed(changed: list[dict[str, Any]]) -> None:
    from service.backtest.judged import decider

    columns = ("submission_id", "old", "new", "old_rule", "new_rule", "manual", "reason")
    if changed:
        shown = (
            {
                **one,
                "old_rule": decider(one["old_rule"], is_manual=one["manual"]),
                "new_rule": decider(one["new_rule"]),
            }
            for one in changed[:SHOWN]
        )
        print_table(columns, shown, title="changed")
    if len(changed) > SHOWN:
        echo(f"… and {len(changed) - SHOWN} more: --json lists all")


def _because(fields: dict[str, int]) -> str:
    return ", ".join(f"{field} ({number})" for field, number in fields.items())
