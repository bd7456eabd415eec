"""``autoreview migrate``: brings the database to this version's schema."""

from service.console.output import Json, echo, print_json


def migrate(as_json: Json = False) -> None:
    """Bring the database to this version's schema. Safe to run from several places at once."""
    from service.cli.database import command_database
    from service.postgres.migrate import migrate as upgrade
    from service.settings import Settings
    from service.telemetry.log import configure_logs

    configure_logs(form="console", level="warning")  # it warns while it waits for another migration
    with command_database(Settings.from_environment()) as url:
        before, after = upgrade(url)
    if as_json:
        print_json({"before": before, "after": after})
    elif before == after:
        echo(f"The schema is at {after} already.")
    else:
        echo(f"The schema went from {before or 'nothing'} to {after}.")
