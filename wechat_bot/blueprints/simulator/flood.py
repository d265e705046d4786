"""The page of a flood: many followers ask at once, and the page draws what becomes of them."""

from __future__ import annotations

import time
from collections import Counter
from typing import Any

from flask import abort, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from ...simulator.api.customer import SEND
from ...simulator.flood import Outcome
from ...simulator.flood_run import (
    MAX_CHARACTERS,
    MAX_FOLLOWERS,
    MAX_PER_SECOND,
    FloodPlan,
    FloodRun,
    FloodRunning,
)
from ...simulator.platform import SimulatedPlatform
from . import bp, flood_chart, labels
from .dependencies import base_url, credentials, flood_file, journal, store

PRESETS = (20, 100, 400, 1000, 4000)
DEFAULT_PLAN = FloodPlan(followers=100, text="慢")
LATE_SECONDS = 30
"""Seconds after the end of a flood for which the page waits for customer-service messages."""


@bp.get("/flood")
def flood() -> ResponseReturnValue:
    run = flood_file().read()
    return render_template(
        "simulator/flood.html",
        plan=run.plan if run else DEFAULT_PLAN,
        presets=PRESETS,
        max_followers=MAX_FOLLOWERS,
        max_per_second=MAX_PER_SECOND,
        max_characters=MAX_CHARACTERS,
        labels=labels,
        **(_progress(run) if run else {}),
    )


@bp.post("/flood")
def start_flood() -> ResponseReturnValue:
    form = request.form
    try:
        plan = FloodPlan(
            followers=int(form.get("followers", "")),
            text=form.get("text", ""),
            per_second=int(form.get("per_second", "")),
        )
    except ValueError:
        bounds = {"followers": MAX_FOLLOWERS, "characters": MAX_CHARACTERS, "messages": MAX_PER_SECOND}
        abort(
            400,
            _(
                "粉丝要有 1 到 %(followers)s 个，文字要有 1 到 %(characters)s 个字，"
                "每秒的普通消息不超过 %(messages)s 条。",
                **bounds,
            ),
        )
    mode = journal().options().mode
    try:
        flood_file().start(SimulatedPlatform.at(f"{base_url()}/wechat", credentials(mode)), plan)
    except FloodRunning:
        abort(409, _("上一次高峰还没有结束。"))
    return redirect(url_for("simulator.flood"), 303)


@bp.post("/flood/stop")
def stop_flood() -> ResponseReturnValue:
    flood_file().stop()
    return redirect(url_for("simulator.flood"), 303)


def _progress(run: FloodRun) -> dict[str, Any]:
    chart = flood_chart.draw(run, _arrivals(run), time.time())
    return {
        "run": run,
        "chart": chart,
        "is_live": run.is_running or _awaits_messages(run, chart),
        "problems": Counter(each.problem for each in (*run.questions, *run.ordinary) if each.problem),
    }


def _arrivals(run: FloodRun) -> dict[str, float]:
    """Return when customer-service messages reached the followers, in seconds since the flood began."""
    silent = {each.openid for each in run.questions if each.outcome is Outcome.SILENT}
    if not silent:
        return {}
    with store().opened() as state:
        sent = [each for each in state.sent if each.path == SEND and each.openid in silent]
    return {each.openid: each.arrived - run.began for each in reversed(sent)}


def _awaits_messages(run: FloodRun, chart: flood_chart.FloodChart) -> bool:
    """Whether followers that have no answer yet may still get one from customer service."""
    ended_at = run.began + (run.seconds or 0)
    return chart.totals[flood_chart.Fate.SILENT] > 0 and time.time() - ended_at < LATE_SECONDS
