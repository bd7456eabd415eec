"""Charts, excerpts of rule files and formatted values of the pages. Pure."""

from datetime import UTC, datetime, timedelta

import pytest

from service.pages.access import own_path
from service.pages.charts import HEIGHT, HOURS, WIDTH, histogram, outcomes_chart
from service.pages.rendering import HERE, TEMPLATES, duration, money, value
from service.rules.excerpt import excerpts

NOW = datetime(2026, 1, 2, 12, 34, tzinfo=UTC)
FILE = """\
version: 1
rules:
  - name: first
    when: a > 1
    hold: Look.

  # about the next one
  - {name: second, when: b, approve: }
  - name: third
    when: c
    reject:
      message: >-
        Long
        text.
# the end
otherwise: approve
"""


def test_chart_bars_have_the_height_of_their_number() -> None:
    hour = NOW.replace(minute=0)
    chart = outcomes_chart({hour: {"approve": 3, "reject": 1}, hour - timedelta(hours=1): {"hold": 5}}, NOW)
    assert chart.top == 5
    newest = [bar for bar in chart.bars if bar.x > WIDTH - WIDTH / HOURS]
    assert [bar.kind for bar in newest] == ["approve", "reject"]
    assert sum(bar.height for bar in newest) == pytest.approx(4 / 5 * HEIGHT)
    assert newest[1].y + newest[1].height == pytest.approx(newest[0].y)
    assert outcomes_chart({}, NOW).bars == ()


@pytest.mark.parametrize("values", [[0.0], [600.0, 601.0, 9.0], [1e6, 1.0], [5.0] * 100])
def test_histogram_counts_each_time_once_within_its_bounds(values: list[float]) -> None:
    chart = histogram(values, mean=sum(values) / len(values), bound=-3.0)
    assert sum(int(bar.label.rpartition(": ")[2]) for bar in chart.bars) == len(values)
    assert all(bar.x >= 0 and bar.x + bar.width <= WIDTH and bar.y >= -1e-9 for bar in chart.bars)
    assert [line.kind for line in chart.lines] == ["mean"]


def test_rule_excerpt_has_the_lines_of_one_rule() -> None:
    found = excerpts(FILE)
    assert {name: one.first for name, one in found.items()} == {
        "first": 3,
        "second": 8,
        "third": 9,
        "otherwise": 16,
    }
    assert found["first"].text.endswith("hold: Look.")
    assert found["second"].text == "  - {name: second, when: b, approve: }"
    assert found["third"].text.endswith("text.")
    assert found["otherwise"].text == "otherwise: approve"


@pytest.mark.parametrize(
    "text", ["", "a: [", "- x", "rules: no", "rules: [1, {name: [2]}]", "{[]: 1}", "&a *a"]
)
def test_rule_excerpt_of_an_invalid_file_is_none(text: str) -> None:
    assert excerpts(text) == {}


def test_numbers_are_rounded_for_people() -> None:
    assert [value(one) for one in (None, True, 2.0, -3.4176543210987, 123456.7, 2**60)] == [
        *("missing", "true", "2", "-3.42", "123457", "1152921504606846976")
    ]
    assert (money(150), money(None), money(123456)) == ("1.50", "unknown", "1,234.56")
    assert (duration(0), duration(90061), duration(None)) == ("0 s", "1 d 1 h", "unknown")


def test_templates_escape_everything() -> None:
    assert TEMPLATES.autoescape is True
    texts = [path.read_text() for path in (HERE / "templates").rglob("*.html")]
    assert len(texts) > 10
    assert [text for text in texts if "|safe" in text or "autoescape" in text] == []


@pytest.mark.parametrize("path", ["/", "/holds?study=a%20b", "/submissions/a%2Fb"])
def test_redirect_target_keeps_only_own_paths(path: str) -> None:
    assert own_path(path) == path
