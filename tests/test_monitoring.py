"""The dashboard for Grafana and the alerts for Prometheus: they parse, and name what the program tells."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.conftest import APP_SECRET, MakeApp
from tests.needs import lacking
from wechat_bot.settings import Switch
from wechat_bot.testing import FakeAPI

DEPLOY = Path(__file__).parent.parent / "deploy"
DASHBOARD = DEPLOY / "grafana/wechat_bot.json"
RULES = DEPLOY / "prometheus/alerts.yml"


@pytest.fixture
def promtool() -> str:
    return shutil.which("promtool") or lacking("no promtool: apt install prometheus")


def expressions(part: Any) -> Iterator[str]:
    """The expressions in a file."""
    if isinstance(part, dict):
        yield from (part[name] for name in ("expr", "query") if isinstance(part.get(name), str))
    for each in part.values() if isinstance(part, dict) else part if isinstance(part, list) else ():
        yield from expressions(each)


def dashboard() -> list[str]:
    return [*expressions(json.loads(DASHBOARD.read_text()))]


def rules() -> list[str]:
    return [*expressions(yaml.safe_load(RULES.read_text()))]


def run(*command: str | Path) -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("said", [dashboard(), rules()], ids=["dashboard", "rules"])
def test_every_metric_that_is_named_exists(said: list[str], make_app: MakeApp, api: FakeAPI) -> None:
    app = make_app(api=api, wechat_app_secret=APP_SECRET, metrics_enabled=Switch.YES)
    page = app.test_client().get("/metrics").text
    types = dict(re.findall(r"^# TYPE (\w+) (\w+)$", page, re.MULTILINE))
    present = {*types} | {
        f"{name}_{part}"
        for name, type_ in types.items()
        if type_ == "histogram"
        for part in ("bucket", "sum", "count")
    }
    named = {name for expression in said for name in re.findall(r"\bwechat_\w+", expression)} - {"wechat_bot"}
    assert len(named) > 10
    assert named <= present


def test_the_expressions_of_the_dashboard_are_valid(promtool: str, tmp_path: Path) -> None:
    variables = {"$account": ".*", "$__rate_interval": "5m"}
    said = [re.sub(r"\$\w+", lambda found: variables[found[0]], each) for each in dashboard() if "(" in each]
    records = [
        {"record": f"panel:{number}", "expr": each}
        for number, each in enumerate(said)
        if not each.startswith("label_values")
    ]
    file = tmp_path / "rules.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": records}]}))
    run(promtool, "check", "rules", file)


def test_the_example_for_prometheus_is_valid(promtool: str) -> None:
    run(promtool, "check", "config", DEPLOY / "prometheus/prometheus.yml")


def test_the_alerts_fire_when_they_should(promtool: str) -> None:
    run(promtool, "test", "rules", DEPLOY / "prometheus/alerts_test.yml")
