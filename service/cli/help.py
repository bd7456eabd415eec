"""The list of commands in ``autoreview --help``: grouped by what people come for, no text cut."""

from typing import Any

import typer
from typer.core import TyperGroup

from service.cli.env_file import env_file_option

START, RULES, REVIEW, RUN, SET_UP = "Start", "Rules", "Review by hand", "Run", "Set up"
SECTIONS = (START, RULES, REVIEW, RUN, SET_UP)
OTHER = "Commands"
WITHOUT_SETTINGS = ("demo", "sandbox", "schema")


class Sections(TyperGroup):
    """Lists commands below the section that each was registered with, and gives each the option ``--env-file``."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        for name, command in self.commands.items():
            # Groups have no settings of their own: their commands have the option.
            if not isinstance(command, TyperGroup) and name not in WITHOUT_SETTINGS:
                command.params.append(env_file_option())

    def list_commands(self, ctx: Any) -> list[str]:
        del ctx
        return list(self.commands)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        for section in (*SECTIONS, OTHER):
            rows = [
                (name, _first_sentence(command.help or ""))
                for name in self.list_commands(ctx)
                if (command := self.commands[name]) and section_of(command) == section
            ]
            if rows:
                with formatter.section(section):
                    formatter.write_dl(rows)


def group(text: str) -> typer.Typer:
    """Return a group of commands, such as `decisions`, with help as the main command has it."""
    return typer.Typer(help=text, no_args_is_help=True, rich_markup_mode=None, cls=Sections)


def section_of(command: Any) -> str:
    return str(getattr(command, "rich_help_panel", None) or OTHER)


def _first_sentence(text: str) -> str:
    paragraph = " ".join(text.partition("\n\n")[0].split())
    return paragraph.partition(". ")[0].removesuffix(".")
