"""The command line: ``autoreview``."""

import signal
import sys

import typer

from service import __version__
from service.cli import (
    backup,
    check,
    connect,
    decisions,
    demo,
    doctor,
    explain,
    holds,
    migrate,
    notify,
    pause,
    resolve,
    resume,
    retry,
    sandbox,
    schema,
    serve,
    submissions,
    sweep,
    test,
)
from service.console.output import echo
from service.errors import AutoreviewError, ConfigurationError, DatabaseError, RulesError

app = typer.Typer(
    name="autoreview",
    help="The unattended reviewer of a study's submissions on Prolific.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

app.command()(demo.demo)
app.command()(serve.serve)
app.command()(sandbox.sandbox)
app.command()(migrate.migrate)
app.command()(backup.backup)
app.command()(backup.restore)
app.command()(check.check)
app.command()(explain.explain)
app.command()(holds.holds)
app.command()(resolve.resolve)
app.command()(pause.pause)
app.command()(resume.resume)
app.command()(sweep.sweep)
app.command()(connect.connect)
app.command()(doctor.doctor)
app.command()(retry.retry)
app.command()(notify.notify)
app.command("test")(test.run_tests)
app.command()(schema.schema)
app.add_typer(submissions.app, name="submissions")
app.add_typer(decisions.app, name="decisions")


def _version(wanted: bool) -> None:
    if wanted:
        echo(__version__)
        raise typer.Exit


@app.callback()
def options(
    version: bool = typer.Option(  # noqa: ARG001 - its callback has dealt with it
        False, "--version", callback=_version, is_eager=True, help="Print the version."
    ),
) -> None:
    """The unattended reviewer of a study's submissions on Prolific."""
    from service.telemetry.log import configure_logs

    configure_logs(form="console", level="warning")  # to standard error; `serve` has settings for it


def _stop(*_: object) -> None:
    raise SystemExit(128 + signal.SIGTERM)


def main() -> None:
    """Run a command; what is wrong is said in sentences, never as a traceback.

    Exit: 0 fine, 1 what was asked for fails, 2 wrong usage or configuration.
    """
    # As process 1 of a container nothing is done by default on SIGTERM: `serve` takes it over once it runs.
    signal.signal(signal.SIGTERM, _stop)
    try:
        app()
    except RulesError as error:
        from service.cli.findings import print_findings
        from service.rules import InvalidRules

        if isinstance(error, InvalidRules):
            print_findings(error.findings, err=True)
        else:
            echo(*str(error).split("\n"), err=True)
        sys.exit(2)
    except AutoreviewError as error:
        echo(*str(error).split("\n"), err=True)
        sys.exit(2 if isinstance(error, ConfigurationError | DatabaseError) else 1)
    except KeyboardInterrupt:
        sys.exit(130)
