"""`deploy/monitoring` asks Prometheus for what `/metrics` tells, and leaves nothing of that out."""

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from service_runtime.settings import ApiSettings
from state_store.repository import StateRepository
from support.busy_store import metrics_of

FOLDER = Path(__file__).parents[2] / "deploy" / "monitoring"
METRIC = re.compile(r"\b(?:peep|process|python)_[a-z0-9_]+")
FUNCTIONS = {
    "abs",
    "absent",
    "avg_over_time",
    "clamp_min",
    "histogram_quantile",
    "label_values",
    "max",
    "max_over_time",
    "min",
    "min_over_time",
    "rate",
    "time",
}


def parsed(name: str) -> Any:
    return yaml.safe_load((FOLDER / name).read_text("utf-8"))


def dashboard() -> dict[str, Any]:
    document: dict[str, Any] = json.loads((FOLDER / "grafana-dashboard.json").read_text("utf-8"))
    return document


def alerts() -> list[dict[str, Any]]:
    return [rule for group in parsed("alerts.yml")["groups"] for rule in group["rules"]]


def panels() -> list[dict[str, Any]]:
    return [panel for panel in dashboard()["panels"] if panel["type"] != "row"]


def expressions() -> Iterator[str]:
    """Yield every expression of the alerts and of the dashboard."""
    yield from (rule["expr"] for rule in alerts())
    yield from (target["expr"] for panel in panels() for target in panel["targets"])
    yield from (variable["definition"] for variable in dashboard()["templating"]["list"][1:])


async def exported(busy: StateRepository) -> dict[str, set[str]]:
    """Return the labels of every series that `/metrics` tells, by its name."""
    families = text_string_to_metric_families((await metrics_of(busy)).text)
    return {sample.name: set(sample.labels) for family in families for sample in family.samples}


async def test_alerts_and_dashboard_ask_only_for_what_is_told(busy: StateRepository) -> None:
    asked = {name for expression in expressions() for name in METRIC.findall(expression)}
    told = await exported(busy)
    if sys.platform != "linux":  # elsewhere no process can tell of itself
        asked = {name for name in asked if not name.startswith("process_")}
    assert asked <= set(told)


async def test_every_metric_of_ours_is_on_the_dashboard(busy: StateRepository) -> None:
    shown = {
        name for panel in panels() for target in panel["targets"] for name in METRIC.findall(target["expr"])
    }
    assert {name for name in await exported(busy) if name.startswith("peep_")} <= shown


async def test_labels_by_which_is_grouped_are_there(busy: StateRepository) -> None:
    labels = set.union(*(await exported(busy)).values()) | {"job", "instance"}  # Prometheus adds these two
    for expression in expressions():
        for group in re.findall(r"by \(([a-z_, ]+)\)", expression):
            assert set(group.split(", ")) <= labels, expression


def test_expressions_are_whole_and_use_known_functions() -> None:
    for expression in expressions():
        assert expression.count("(") == expression.count(")"), expression
        assert expression.count("[") == expression.count("]"), expression
        calls = set(re.findall(r"([a-z_]+)\(", expression))
        assert calls <= FUNCTIONS, expression
        # What grows is only ever looked at as a rate.
        for counter in re.finditer(r"[a-z0-9_]+(?:_total|_bucket|_sum|_count)\b", expression):
            assert expression[: counter.start()].endswith("rate("), expression


@pytest.mark.parametrize("rule", alerts(), ids=lambda rule: rule["alert"])
def test_every_alert_waits_and_says_how_bad_it_is_and_what_to_do(rule: dict[str, Any]) -> None:
    assert re.fullmatch(r"Peep[A-Z]\w+", rule["alert"])
    assert re.fullmatch(r"\d+m", rule["for"])
    assert rule["labels"]["severity"] in ("warning", "critical")
    for text in (rule["annotations"]["summary"], rule["annotations"]["description"]):
        assert text.endswith((".", "?"))
        for label in re.findall(r"\$labels\.(\w+)", text):
            assert label in ("job", "instance") or f"{label}" in rule["expr"]


def test_alerts_have_names_of_their_own() -> None:
    names = [rule["alert"] for rule in alerts()]
    assert len(names) == len(set(names))


def test_the_example_scrapes_where_we_listen_and_loads_the_alerts() -> None:
    example = parsed("prometheus.yml")
    (job,) = example["scrape_configs"]
    assert job["metrics_path"] == "/metrics"
    port = ApiSettings.model_fields["http_port"].default
    assert job["static_configs"] == [{"targets": [f"127.0.0.1:{port}"]}]
    assert [(FOLDER / name).is_file() for name in example["rule_files"]] == [True]


def test_the_dashboard_can_be_imported_and_its_data_source_chosen() -> None:
    document = dashboard()
    variables = {variable["name"]: variable for variable in document["templating"]["list"]}
    assert variables["datasource"]["type"] == "datasource"
    assert "id" not in document
    sources = [panel["datasource"]["uid"] for panel in panels()]
    sources += [target["datasource"]["uid"] for panel in panels() for target in panel["targets"]]
    assert set(sources) == {"${datasource}"}


def test_panels_have_titles_texts_and_places_of_their_own() -> None:
    taken: set[tuple[int, int]] = set()
    ids = [panel["id"] for panel in dashboard()["panels"]]
    assert len(ids) == len(set(ids))
    for panel in dashboard()["panels"]:
        place = panel["gridPos"]
        cells = {
            (place["x"] + column, place["y"] + row)
            for column in range(place["w"])
            for row in range(place["h"])
        }
        assert max(column for column, _ in cells) < 24
        assert not cells & taken
        taken |= cells
        assert panel["title"]
        assert panel["type"] == "row" or panel["description"].endswith(".")
