"""The command line: ``autoreview``."""

import io
import signal
import sys

import typer

from service import __version__
from service.cli import (
    backtest,
    backup,
    check,
    connect,
    decisions,
    demo,
    doctor,
    evidence,
    explain,
    export,
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
    status,
    submissions,
    sweep,
    test,
)
from service.cli.help import REVIEW, RULES, RUN, SET_UP, START, Sections
from service.console.output import echo
from service.errors import AutoreviewError, ConfigurationError, DatabaseError, RulesError

# Commands that read rule files and log nothing. Setting logs up would take a fifth of their time.
WITHOUT_LOGS = ("check", "schema", "test")

app = typer.Typer(
    name="autoreview",
    cls=Sections,
    help="The unattended reviewer of a study's submissions on Prolific.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)

app.command(rich_help_panel=START)(demo.demo)
app.command(rich_help_panel=START)(sandbox.sandbox)
app.command(rich_help_panel=RULES)(check.check)
app.command("test", rich_help_panel=RULES)(test.run_tests)
app.command(rich_help_panel=RULES)(schema.schema)
app.command(rich_help_panel=RULES)(explain.explain)
app.command(rich_help_panel=RULES)(backtest.backtest)
app.command(rich_help_panel=REVIEW)(holds.holds)
app.command(rich_help_panel=REVIEW)(resolve.resolve)
app.add_typer(submissions.app, name="submissions", rich_help_panel=REVIEW)
app.add_typer(decisions.app, name="decisions", rich_help_panel=REVIEW)
app.add_typer(evidence.app, name="evidence", rich_help_panel=REVIEW)
app.add_typer(export.app, name="export", rich_help_panel=REVIEW)
app.command(rich_help_panel=RUN)(serve.serve)
app.command(rich_help_panel=RUN)(status.status)
app.command(rich_help_panel=RUN)(pause.pause)
app.command(rich_help_panel=RUN)(resume.resume)
app.command(rich_help_panel=RUN)(retry.retry)
app.command(rich_help_panel=RUN)(sweep.sweep)
app.command(rich_help_panel=RUN)(backup.backup)
app.command(rich_help_panel=RUN)(backup.restore)
app.command(rich_help_panel=SET_UP)(connect.connect)
app.command(rich_help_panel=SET_UP)(doctor.doctor)
app.command(rich_help_panel=SET_UP)(notify.notify)
app.command(rich_help_panel=SET_UP)(migrate.migrate)


def _version(wanted: bool) -> None:
    if wanted:
        echo(__version__)
        raise typer.Exit


@app.callback()
def options(
    context: typer.Context,
    version: bool = typer.Option(  # noqa: ARG001 - its callback has dealt with it
        False, "--version", callback=_version, is_eager=True, help="Print the version."
    ),
) -> None:
    """The unattended reviewer of a study's submissions on Prolific."""
    if context.invoked_subcommand in WITHOUT_LOGS:
        return
    from service.telemetry.log import configure_logs

    # A command reports what it did by itself; the service's processes set their own level.
    configure_logs(form="console", level="error")


def _stop(*_: object) -> None:
    raise SystemExit(128 + signal.SIGTERM)


def main() -> None:
    """Run a command. Report errors as sentences, never as a traceback.

    Exit: 0 success, 1 the request failed, 2 wrong usage or configuration.
    """
    # Process 1 of a container ignores SIGTERM by default. `serve` installs its own handler once it runs.
    signal.signal(signal.SIGTERM, _stop)
    for stream in (sys.stdout, sys.stderr):
        # A terminal in ASCII or Latin-1 shows other characters as escapes instead of ending the command.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        app()
    except RulesError as error:
        from service.cli.findings import print_findings
        from service.rules import InvalidRules

        # The only error with a place in a file, and with more than one finding.
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
