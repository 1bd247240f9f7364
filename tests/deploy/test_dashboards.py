"""The Grafana board and the alert rules ask for metrics, and labels of them, that the server has."""

import json
import re
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from server.observability import Metrics
from server.services import build_services
from server.settings import Settings

pytestmark = pytest.mark.anyio

DEPLOY = Path(__file__).parents[2] / "deploy"
BOARD = json.loads((DEPLOY / "grafana/sagehold.json").read_text())
RULES = yaml.safe_load((DEPLOY / "prometheus/alerts.yaml").read_text())["groups"][0]["rules"]

SCRAPE = {"up", "job", "instance"}
"""What Prometheus itself adds."""
NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_:]*")
WORDS = {"sum", "max", "rate", "increase", "histogram_quantile"}


def panels() -> Iterator[dict[str, Any]]:
    return (panel for panel in BOARD["panels"] if panel["type"] != "row")


def expressions() -> list[str]:
    on_board = [target["expr"] for panel in panels() for target in panel["targets"]]
    variables = [one["query"]["query"] for one in BOARD["templating"]["list"] if one["type"] == "query"]
    return [*on_board, *variables, *(rule["expr"] for rule in RULES)]


def metrics_and_labels(expression: str) -> tuple[set[str], set[str]]:
    """The metrics of a PromQL expression, and the labels that it selects or groups by."""
    bare = re.sub(r'"[^"]*"', '""', expression)
    bare = re.sub(r"\[[^\]]*\]", "", bare)
    labels: set[str] = set()
    for group in re.findall(r"\{([^}]*)\}", bare):
        labels |= set(re.findall(r"(\w+)\s*[=!]", group))
    for group in re.findall(r"\b(?:by|on)\s*\(([^)]*)\)", bare):
        labels |= set(NAME.findall(group))
    if called := re.fullmatch(r"label_values\((\w+), (\w+)\)", bare):
        return {called[1]}, {called[2]}
    bare = re.sub(r"\{[^}]*\}|\b(?:by|on)\s*\([^)]*\)", "", bare)
    return set(NAME.findall(bare)) - WORDS, labels


def of_vllm() -> set[str]:
    """vLLM's names, which tests/engines/vllm/test_stats.py holds against what is served. Read, since an import takes
    ten seconds."""
    found = find_spec("vllm")
    assert found is not None
    assert found.origin is not None
    names = re.findall(r'"(vllm:\w+)"', (Path(found.origin).parent / "v1/metrics/loggers.py").read_text())
    return {name + suffix for name in names for suffix in ("", "_total", "_bucket", "_sum", "_count")}


@pytest.fixture
async def real(settings: Settings, tmp_path: Path) -> dict[str, set[str]]:
    """The names that a server over fake engines exposes, each with its labels; with none where there is no sample."""
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs/fake.yaml").write_text("name: fake\nengine: fake\nserves: chat\nload: lazy\n")
    metrics = Metrics()
    async with build_services(
        settings.model_copy(update={"model_configs": tmp_path / "configs", "data_dir": tmp_path}), metrics=metrics
    ):
        families = list(text_string_to_metric_families(metrics.render()[0].decode()))
    kept = {getattr(one, "_name", ""): getattr(one, "_labelnames", ()) for one in metrics._registry._collector_to_names}
    found: dict[str, set[str]] = {}
    for family in families:
        own = {name for sample in family.samples for name in sample.labels} | set(kept.get(family.name, ()))
        for suffix in {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count")}.get(family.type, ("",)):
            found[family.name + suffix] = own
    return found


async def test_every_metric_and_label_that_is_asked_for_exists(real: dict[str, set[str]]) -> None:
    asked = expressions()
    assert len(asked) > 50
    used: set[str] = set()
    for expression in asked:
        names, labels = metrics_and_labels(expression)
        assert names, expression
        used |= names
        missing = names - real.keys() - of_vllm() - SCRAPE
        assert not missing, f"{missing} of {expression}"
        for name in names & real.keys():
            if real[name]:  # without a sample there may be none to look at
                assert labels - SCRAPE - {"le"} <= real[name], expression
    assert {"sagehold_requests_total", "sagehold_model_state", "vllm:kv_cache_usage_perc", "process_open_fds"} <= used


async def test_the_reading_of_expressions_finds_what_is_wrong() -> None:
    names, labels = metrics_and_labels(
        'histogram_quantile(0.95, sum by (model, le) (rate(a_bucket{route="x_y"}[5m]))) / on (z) b > 10'
    )
    assert names == {"a_bucket", "b"}
    assert labels == {"model", "le", "route", "z"}


def test_every_panel_and_rule_says_what_it_is() -> None:
    ids = [panel["id"] for panel in BOARD["panels"]]
    assert len(set(ids)) == len(ids)
    for panel in panels():
        assert panel["title"]
        assert panel["datasource"]["uid"] == "${datasource}"
        for target in panel["targets"]:
            shown = set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]))
            grouped = re.findall(r"\bby \(([^)]*)\)", target["expr"])
            assert not grouped or shown <= set(re.findall(r"\w+", grouped[0])), target
    for rule in RULES:
        assert rule["labels"]["severity"] in ("warning", "critical")
        assert rule["annotations"].keys() == {"summary", "description"}
    assert len({rule["alert"] for rule in RULES}) == len(RULES)
