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

from tests.soak.judge import Fault
from tests.soak.plan import Plan
from tests.soak.run import Result, Say, soak
from tests.soak.story import story


def main() -> int:
    options = _options()
    plan = Plan(options.minutes, options.kills, options.seed, options.participants)
    say = _say(sys.stderr if options.json else sys.stdout)
    folder = Path(tempfile.mkdtemp(prefix="autoreview-soak-"))
    _quiet(folder / "sandbox.log")
    result = asyncio.run(soak(plan, folder, say))
    figures = _figures(result, plan)
    _tell(result, figures, folder, say)
    if options.json:
        print(json.dumps(figures))
    if figures["ok"]:
        shutil.rmtree(folder)
    say(", ".join(f"{name} {figures[name]}" for name in ("events", *Fault)))
    return 0 if figures["ok"] else 1


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
        "kills": result.killed,
        "submissions": Counter(case.submission.status.value for case in result.cases.values()),
        "calls": Counter(call.path.split("/")[-2] for case in result.cases.values() for call in case.calls),
        "refused": result.refused,
        "ended_by_itself": result.ended_by_itself,
        "seconds": round(result.seconds, 1),
    }


def _tell(result: Result, figures: dict[str, Any], folder: Path, say: Say) -> None:
    say("")
    for name in ("kills", "submissions", "calls", "refused", "ended_by_itself", "seconds"):
        say(f"{name.replace('_', ' '):16} {figures[name] if name == 'seconds' else dict(figures[name])}")
    for submission in dict.fromkeys(finding.submission_id for finding in result.findings):
        its = [finding for finding in result.findings if finding.submission_id == submission]
        say(f"\n{story(result.cases[submission], its)}")
    if not figures["ok"]:
        say(f"\nThe logs are kept in {folder}")


if __name__ == "__main__":
    sys.exit(main())
