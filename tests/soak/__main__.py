"""``make soak``: the service in real processes, killed again and again; nothing may be lost, doubled or wrong."""

import argparse
import asyncio
import json
import logging
import secrets
import shutil
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import stamina.instrumentation
import structlog

from tests.integration.postgres.pooler import PROGRAM
from tests.soak.judge import Fault
from tests.soak.plan import Plan, Through
from tests.soak.run import Result, Say, soak
from tests.soak.story import story

ALL = "all"


def main() -> int:
    options = _options()
    say = _say(sys.stderr if options.json else sys.stdout)
    ways = [way for way in _ways(options.through) if _is_possible(way, say)]
    if not ways:
        return 2
    folder = Path(tempfile.mkdtemp(prefix="autoreview-soak-"))
    _quiet(folder / "sandbox.log")
    plan = Plan(options.minutes, options.kills, options.seed, options.participants)
    found = [_run(part, folder / part.through, say) for part in plan.split(ways)]
    figures = found[0] if len(found) == 1 else _summed(found, plan)
    if options.json:
        print(json.dumps(figures))
    if figures["ok"]:
        shutil.rmtree(folder)
    else:
        say(f"\nThe logs are kept in {folder}")
    if len(found) > 1:
        for each in found:
            say(f"through {each['through']}: {_verdict(each)}")
    say(_last(figures))
    return 0 if figures["ok"] else 1


def _ways(through: str) -> list[Through]:
    return list(Through) if through == ALL else [Through(through)]


def _is_possible(way: Through, say: Say) -> bool:
    if way is Through.POOLER and PROGRAM is None:
        say("pooler: skipped, as the program pgbouncer (a Debian package) is not installed.")
        return False
    return True


def _run(plan: Plan, folder: Path, say: Say) -> dict[str, Any]:
    folder.mkdir()
    result = asyncio.run(soak(plan, folder, say))
    figures = _figures(result, plan)
    _tell(result, figures, say)
    return figures


def _verdict(figures: dict[str, Any]) -> str:
    return ", ".join(f"{name} {figures[name]}" for name in ("events", *Fault))


def _last(figures: dict[str, Any]) -> str:
    """Return the last line: the verdict, and the way unless it is the direct one."""
    way = figures["through"]
    return _verdict(figures) if way == Through.DIRECT else f"through {way}: {_verdict(figures)}"


def _summed(found: list[dict[str, Any]], plan: Plan) -> dict[str, Any]:
    """The figures of all ways together, and each way's beside."""
    return {
        "ok": all(each["ok"] for each in found),
        **{name: sum(each[name] for each in found) for name in ("events", *Fault)},
        "seed": plan.seed,
        "through": ALL,
        "ways": found,
    }


def _quiet(log: Path) -> None:
    """What the sandbox in this process has to say goes where the others' logs are."""
    logging.basicConfig(filename=log)
    structlog.configure(logger_factory=structlog.WriteLoggerFactory(log.open("a")))
    stamina.instrumentation.set_on_retry_hooks([])


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument(
        "--minutes", type=float, default=4.0, help="how long people come and things are killed"
    )
    parser.add_argument("--kills", type=int, default=25)
    parser.add_argument(
        "--seed", type=int, default=secrets.randbelow(1_000_000), help="repeats all but the timing"
    )
    parser.add_argument("--participants", type=int, default=400)
    parser.add_argument(
        "--through",
        choices=[*Through, ALL],
        default=Through.DIRECT,
        help="the way from the service to its database; all: one after the other, each with its share of the time",
    )
    parser.add_argument("--json", action="store_true", help="the figures as JSON; all else goes to stderr")
    return parser.parse_args()


def _say(to: Any) -> Say:
    return lambda text: print(text, file=to, flush=True)


def _figures(result: Result, plan: Plan) -> dict[str, Any]:
    bad = {fault: {f.submission_id for f in result.findings if f.fault is fault} for fault in Fault}
    counts = {fault.value: len(bad[fault]) for fault in Fault}
    return {
        "ok": not any(counts.values()) and result.killed.total() >= plan.kills,
        "events": result.events,
        **counts,
        "seed": plan.seed,
        "through": plan.through,
        "kills": result.killed,
        "submissions": Counter(case.submission.status.value for case in result.cases.values()),
        "calls": Counter(call.path.split("/")[-2] for case in result.cases.values() for call in case.calls),
        "refused": result.refused,
        "ended_by_itself": result.ended_by_itself,
        "seconds": round(result.seconds, 1),
    }


def _tell(result: Result, figures: dict[str, Any], say: Say) -> None:
    say("")
    for name in ("kills", "submissions", "calls", "refused", "ended_by_itself", "seconds"):
        say(f"{name.replace('_', ' '):16} {figures[name] if name == 'seconds' else dict(figures[name])}")
    for submission in dict.fromkeys(finding.submission_id for finding in result.findings):
        its = [finding for finding in result.findings if finding.submission_id == submission]
        say(f"\n{story(result.cases[submission], its)}")


if __name__ == "__main__":
    sys.exit(main())
