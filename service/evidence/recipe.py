"""The recipes of ``autoreview evidence recipe``: how each survey platform sends evidence, one file per platform."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).with_name("recipes")
PLATFORMS = (
    "qualtrics",
    "redcap",
    "jspsych",
    "jatos",
    "otree",
    "limesurvey",
    "typeform",
    "formr",
    "gorilla",
    "sosci",
)


@dataclass(frozen=True, slots=True)
class Example:
    """A body as the platform sends it, and the values that the rule file's block reads from its first row."""

    content_type: str
    body: str
    values: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Recipe:
    """A recipe. ``evidence`` is the block for the rule file, ``link`` what the study's URL needs, ``paste`` goes to the platform."""

    name: str
    platform: str
    way: str
    evidence: str
    link: str
    steps: tuple[str, ...]
    paste: str
    traps: tuple[str, ...]
    example: Example

    def as_text(self, base: str) -> str:
        """Return the recipe for people; ``base`` is the public URL of the service."""
        lines = [
            f"{self.platform}: {self.way}",
            "",
            "1. In the rule file:",
            "",
            *self.evidence.splitlines(),
            "",
            f"2. In Prolific, the study's URL ends with {self.link}",
            "",
            f"3. In {self.platform}:",
            "",
            *(f"- {self._filled(step, base)}" for step in self.steps),
            "",
            *(f"    {line}".rstrip() for line in self._filled(self.paste, base).splitlines()),
            "",
            "4. What goes wrong most often:",
            "",
            *(f"- {trap}" for trap in self.traps),
            "",
            "5. See it arrive: autoreview evidence tail",
        ]
        return "\n".join(lines)

    def as_dict(self, base: str) -> dict[str, Any]:
        """Return the recipe for scripts."""
        return {
            "platform": self.name,
            "way": self.way,
            "evidence": self.evidence,
            "link": self.link,
            "steps": [self._filled(step, base) for step in self.steps],
            "paste": self._filled(self.paste, base),
            "traps": list(self.traps),
            "example": {"content_type": self.example.content_type, "body": self.example.body},
        }

    def _filled(self, text: str, base: str) -> str:
        url = f"{base.rstrip('/')}/evidence/{self.name}"
        return text.replace("{url}", url)


def recipe(name: str) -> Recipe:
    """Return the recipe of a platform, one of PLATFORMS."""
    # Only when a recipe is shown: the other commands start without YAML.
    import yaml

    loaded = yaml.safe_load((FOLDER / f"{name}.yaml").read_text(encoding="utf-8"))
    example = loaded["example"]
    return Recipe(
        name=name,
        platform=loaded["platform"],
        way=loaded["way"],
        evidence=loaded["evidence"],
        link=loaded["link"],
        steps=tuple(loaded["steps"]),
        paste=loaded["paste"],
        traps=tuple(loaded["traps"]),
        example=Example(example["content_type"], example["body"], example["values"]),
    )
