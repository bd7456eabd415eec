"""``autoreview sandbox``: runs the simulated Prolific."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

EXAMPLES = ("attention-checks.yaml", "two-part-task.yaml")
TARGET = "http://127.0.0.1:8080/webhooks/prolific"


def sandbox(
    host: Annotated[str, typer.Option(help="Where to listen.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="0 takes a free one.")] = 8090,
    token: Annotated[str, typer.Option(help="The API token that requests must have.")] = "sandbox-token",  # noqa: S107
    webhook_url: Annotated[
        str | None, typer.Option(help="Where to send webhooks without a subscription.")
    ] = None,
    secret: Annotated[str, typer.Option(help="The secret that signs webhooks.")] = "sandbox-secret",  # noqa: S107
    write_env: Annotated[
        Path | None,
        typer.Option(
            "--write-env",
            metavar="FILE",
            help="Write all settings for a service beside it, for `serve --env-file`; webhooks go to that service.",
        ),
    ] = None,
    participants: Annotated[
        int, typer.Option(min=0, help="Number of participants who take part once it runs.")
    ] = 0,
    time_scale: Annotated[
        float, typer.Option(min=0.001, help="How much faster than real time the participants work.")
    ] = 60.0,
    seed: Annotated[int, typer.Option(help="The same seed gives the same participants.")] = 1,
) -> None:
    """Run the simulated Prolific alone: API, webhooks with Prolific's retries, participants."""
    import asyncio

    from service.sandbox.server import run_sandbox
    from service.telemetry.log import configure_logs

    configure_logs(form="console", level="info")
    guide = None
    if write_env:
        webhook_url = webhook_url or TARGET
        guide = _writer(write_env, token, secret, webhook_url)
    asyncio.run(
        run_sandbox(
            host,
            port,
            token=token,
            webhook_url=webhook_url,
            secret=secret,
            participants=participants,
            time_scale=time_scale,
            seed=seed,
            guide=guide,
        ),
    )


def _example_rules(folder: Path) -> Path:
    """Copy the rules for the sandbox's studies to a folder, to be changed there. What is there already stays."""
    import shutil

    from service.shipped import shipped

    # Rules that were changed there are kept when the sandbox is started again.
    if not folder.exists():
        folder.mkdir(parents=True)
        for name in EXAMPLES:
            shutil.copy(shipped("rules") / name, folder)
    return folder


def _writer(file: Path, token: str, secret: str, webhook_url: str) -> Callable[[str], str]:
    """Return what writes the settings once the sandbox's address is known, and says what to do with them."""
    import secrets
    from urllib.parse import urlsplit

    from service.cli.env_file import check_replaceable, write_env_file
    from service.web.address import WEBHOOK_PATH

    check_replaceable(file)
    rules = _example_rules(file.with_name(f"{file.stem}-rules"))
    service = webhook_url.removesuffix(WEBHOOK_PATH)
    evidence_token = secrets.token_urlsafe(16)
    settings = {
        "PROLIFIC_TOKEN": token,
        "WEBHOOK_SECRETS": secret,
        "ADMIN_TOKEN": secrets.token_urlsafe(16),
        "EVIDENCE_TOKEN": evidence_token,
        "RULES_DIR": str(rules.absolute()),
        "DATA_DIR": str(Path(".autoreview/sandbox").absolute()),
        "PUBLIC_URL": service,
        "PORT": str(urlsplit(service).port or 80),
        "MODE": "live",
    }

    def guide(base_url: str) -> str:
        write_env_file(file, {"PROLIFIC_URL": base_url, **settings})
        payload = '{"attention_failed": 0, "consented": true, "finished": true, "gibberish": 0.0}'
        return f"""  The settings for a service are in {file}, its rules in {rules}. Start it in a second shell:
    autoreview serve --env-file {file}
  After somebody finished the first study (below), send what the survey knows (SUBMISSION is the id in the answer), and
  see the decision:
    curl -s -X PUT {service}/evidence/survey/SUBMISSION -H 'Authorization: Bearer {evidence_token}' -d '{payload}'
    autoreview decisions list --env-file {file}"""

    return guide
