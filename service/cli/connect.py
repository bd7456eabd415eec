"""``autoreview connect``: sets up Prolific's side, so that webhooks arrive."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlsplit

import typer

from service.console.output import Json, echo, print_json
from service.errors import ConfigurationError

if TYPE_CHECKING:
    from service.connect.plan import Found
    from service.prolific.client import Prolific
    from service.settings import Settings

REPLACING = (
    "A new secret replaces the workspace's at once: whatever else checks webhooks of this workspace refuses "
    "them until it has the new one. Replace it?"
)


def connect(
    url: Annotated[
        str | None,
        typer.Option(help="Where Prolific reaches the service; AUTOREVIEW_PUBLIC_URL if left out."),
    ] = None,
    workspace: Annotated[
        str | None, typer.Option(help="The workspace's id, where the token sees several.")
    ] = None,
    out: Annotated[Path, typer.Option(help="The file to write the signing secret to.")] = Path(
        "webhook-secret"
    ),
    new_secret: Annotated[
        bool, typer.Option("--new-secret", help="Replace the workspace's secret, for all who use it.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Don't ask before the secret is replaced.")] = False,
    disconnect: Annotated[
        bool, typer.Option("--disconnect", help="Delete the subscription instead; the secret stays.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print what would be done, and change nothing.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Set up Prolific's side: the signing secret and a confirmed subscription. Safe to run again."""
    import asyncio

    from service.connect.report import sentences
    from service.settings import Settings
    from service.web.address import is_local, public_base, refuse_private

    if disconnect and new_secret:
        raise typer.BadParameter("choose one of --disconnect and --new-secret")
    settings = Settings.from_environment()
    address = url or settings.public_url
    if address is None:
        raise ConfigurationError("Give the service's public address: --url, or AUTOREVIEW_PUBLIC_URL.")
    base = public_base(address)
    # A sandbox on this machine may call any address. Prolific itself reaches public ones only.
    if not is_local(urlsplit(settings.prolific_url).hostname or ""):
        refuse_private(base)
    if disconnect:
        report = asyncio.run(_disconnect(settings, workspace, base, dry_run=dry_run))
    else:
        ask = new_secret and not (yes or dry_run)
        report = asyncio.run(
            _connect(settings, workspace, base, out, new_secret=new_secret, ask=ask, dry_run=dry_run)
        )
    if as_json:
        print_json(report)
    else:
        echo(*sentences(report))


async def _connect(
    settings: "Settings",
    workspace: str | None,
    base: str,
    out: Path,
    *,
    new_secret: bool,
    ask: bool,
    dry_run: bool,
) -> dict[str, Any]:
    from service.connect.execute import carry_out, with_advice
    from service.connect.plan import SecretStep, plan
    from service.connect.report import connected
    from service.connect.secret_file import check_writable
    from service.web.address import webhook_url

    file = check_writable(out)
    async with _prolific(settings) as prolific:
        planned = plan(await _look(prolific, workspace), webhook_url(base), new_secret=new_secret)
        # Only where one exists: a workspace's first secret breaks nothing.
        if ask and planned.secret is SecretStep.REPLACE:
            typer.confirm(REPLACING, abort=True, err=True)
        if dry_run:
            return connected(planned, None, base, file)
        with with_advice():
            return connected(planned, await carry_out(prolific, planned, file), base, file)


async def _disconnect(
    settings: "Settings", workspace: str | None, base: str, *, dry_run: bool
) -> dict[str, Any]:
    from service.connect.execute import disconnect, with_advice
    from service.connect.report import disconnected
    from service.web.address import webhook_url

    async with _prolific(settings) as prolific:
        found = await _look(prolific, workspace)
        if not dry_run:
            with with_advice():
                await disconnect(prolific, found, webhook_url(base))
    return disconnected(found, webhook_url(base), dry_run=dry_run)


def _prolific(settings: "Settings") -> "Prolific":
    from service.prolific.client import Prolific
    from service.telemetry.log import configure_logs

    configure_logs(form=settings.log_format, level="critical")  # the command itself reports errors
    token = settings.require("PROLIFIC_TOKEN", "Prolific's side is set up with it")
    return Prolific(settings.prolific_url, token.read, concurrency=1)


async def _look(prolific: "Prolific", workspace: str | None) -> "Found":
    from service.connect.execute import choose_workspace, look, with_advice

    with with_advice():
        return await look(prolific, await choose_workspace(prolific, workspace))
