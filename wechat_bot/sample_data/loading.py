"""Loads the sample data for the console, without the progress that ``flask wechat seed`` shows."""

from __future__ import annotations

import logging
from datetime import UTC, datetime

from sqlalchemy import Engine

from ..routing import Router
from ..services.accounts import ensure_account
from ..services.media.archive import Archive
from ..services.projections.projector import Projector
from . import AlreadyRecorded, AlreadyUsed, Plan, seed
from .pictures import attach_pictures
from .team import add_team_activity

log = logging.getLogger(__name__)

MESSAGES = 2000


def load_sample_data(
    engine: Engine, router: Router, app_id: str, projector: Projector, archive: Archive
) -> None:
    """Record sample messages, the work of operators and pictures, unless there are messages."""
    plan = Plan(MESSAGES, until=datetime.now(UTC))
    try:
        seed(engine, router, app_id, plan)
    except (AlreadyUsed, AlreadyRecorded):
        log.warning("no sample data are loaded: there are messages")
        return
    while projector.catch_up(seconds=10):
        pass
    add_team_activity(engine, ensure_account(engine, app_id), plan.seed)
    attach_pictures(engine, archive, plan.seed)
