"""The report of ``autoreview connect``, as JSON and as lines. It never contains the secret."""

from pathlib import Path
from typing import Any

from service.connect.plan import Found, Plan
from service.prolific.hooks import STATUS_CHANGE, Subscription

SECRET = {
    "reuse": ("The workspace has a signing secret: kept.", "Would keep the workspace's signing secret."),
    "create": ("Created the workspace's signing secret.", "Would create the workspace's signing secret."),
    "replace": (
        "Replaced the workspace's signing secret: the old one is invalid.",
        "Would replace the workspace's signing secret: the old one would become invalid.",
    ),
}
SUBSCRIPTION = {
    "keep": ("Already subscribed to", "Would keep the subscription to"),
    "enable": ("Enabled the subscription to", "Would enable, or create again, the subscription to"),
    "create": ("Subscribed, and confirmed, to", "Would subscribe to"),
    "recreate": ("Created again, as it was never confirmed, the subscription to", ""),
}


def connected(plan: Plan, done: Subscription | None, base: str, secret_file: Path) -> dict[str, Any]:
    """Return the report of a plan. ``done`` is None for a dry run."""
    anew = done is not None and plan.existing is not None and done.id != plan.existing.id
    return {
        **_common(plan.found, plan.target, dry_run=done is None),
        "secret": plan.secret.value,
        "secret_file": str(secret_file),
        "subscription": "recreate" if anew else plan.subscription.value,
        "subscription_id": done.id if done else None,
        "deleted": [one.id for one in plan.surplus],
        "settings": {"AUTOREVIEW_PUBLIC_URL": base, "AUTOREVIEW_WEBHOOK_SECRETS_FILE": str(secret_file)},
    }


def disconnected(found: Found, target: str, *, dry_run: bool) -> dict[str, Any]:
    deleted = [one.id for one in found.pointing_at(target)]
    return {**_common(found, target, dry_run=dry_run), "deleted": deleted}


def _common(found: Found, target: str, *, dry_run: bool) -> dict[str, Any]:
    return {
        "dry_run": dry_run,
        "workspace": {"id": found.workspace.id, "title": found.workspace.title},
        "event_type": STATUS_CHANGE,
        "target_url": target,
        "others": [_other(one) for one in found.others(target)],
    }


def _other(one: Subscription) -> dict[str, Any]:
    return {
        "id": one.id,
        "event_type": one.event_type,
        "target_url": one.target_url,
        "is_enabled": one.is_enabled,
    }


def sentences(report: dict[str, Any]) -> list[str]:
    workspace = report["workspace"]
    lines = [" ".join(filter(None, ("Workspace", workspace["id"], workspace["title"])))]
    lines += _done(report) if "secret" in report else _taken_down(report)
    if report["others"]:
        lines += ["Not changed, as they send elsewhere:", *(f"  {_line(one)}" for one in report["others"])]
    if "settings" in report:
        lines += [
            "Set for the service:",
            *(f"  {name}={value}" for name, value in report["settings"].items()),
        ]
    return lines


def _done(report: dict[str, Any]) -> list[str]:
    dry = report["dry_run"]
    written = "Would write it to" if dry else "It is in"
    lines = [
        f"{SECRET[report['secret']][dry]} {written} {report['secret_file']}, readable by its owner alone.",
        f"{SUBSCRIPTION[report['subscription']][dry]} {report['event_type']}, sent to {report['target_url']}",
    ]
    return lines + (_taken_down(report) if report["deleted"] else [])


def _taken_down(report: dict[str, Any]) -> list[str]:
    target, deleted = report["target_url"], report["deleted"]
    if not deleted:
        return [f"Nothing to delete: no subscription sends to {target}"]
    verb = "Would delete" if report["dry_run"] else "Deleted"
    return [f"{verb} what sent to {target}: {', '.join(deleted)}"]


def _line(other: dict[str, Any]) -> str:
    state = "" if other["is_enabled"] else "  (disabled)"
    return f"{other['id']}  {other['event_type']}  {other['target_url']}{state}"
