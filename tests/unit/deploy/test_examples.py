"""The examples in docs/operating.md for machines without Kubernetes use existing settings, commands and paths."""

import re
from pathlib import Path

import yaml

from service import __version__
from service.settings import variables

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "operating.md").read_text(encoding="utf-8")


def block(language: str) -> str:
    (found,) = re.findall(rf"```{language}\n(.*?)```", PAGE, flags=re.DOTALL)
    return str(found)


def test_compose_example_has_existing_settings_and_commands() -> None:
    compose = yaml.safe_load(block("yml"))
    for name in ("migrate", "web", "worker"):
        service = compose["services"][name]
        assert service["image"] == f"autoreview:{__version__}"
        assert set(service["environment"]) <= variables()
        assert service["read_only"] is True
    assert [compose["services"][name]["command"] for name in ("migrate", "web", "worker")] == [
        ["migrate"],
        ["serve", "--only", "web"],
        ["serve", "--only", "worker"],
    ]


def test_systemd_example_has_existing_settings() -> None:
    named = re.findall(r"\b(AUTOREVIEW_\w+)=", block("ini"))
    assert len(named) > 5
    assert set(named) <= variables()


def test_caddy_example_routes_public_paths_only() -> None:
    (paths,) = re.findall(r"@prolific path (.*)", block("caddy"))
    assert paths.split() == ["/webhooks/prolific", "/evidence/*"]
