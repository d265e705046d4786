"""Scenarios: conversations of which operators want to keep the answers, and the results of playing them."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from ..extensions import MYSQL, Model
from .columns import ROW_ID, UTCDateTime


class StoredScenario(Model):
    """A scenario of an account."""

    __tablename__ = "scenarios"
    __table_args__ = (Index(None, "account_id"), MYSQL)

    id: Mapped[int] = mapped_column(ROW_ID, primary_key=True)
    account_id: Mapped[int] = mapped_column(ROW_ID, ForeignKey("accounts.id"))
    definition: Mapped[dict[str, Any]] = mapped_column(JSON)
    """`simulator.scenarios.document`."""
    version: Mapped[int] = mapped_column(default=1)
    """Counts the changes of the definition, so that none is lost."""


class ScenarioResult(Model):
    """The last result of the present version of a scenario with the saved rules."""

    __tablename__ = "scenario_results"

    scenario_id: Mapped[int] = mapped_column(ROW_ID, ForeignKey("scenarios.id"), primary_key=True)
    rules_version: Mapped[int]
    """How often the account's rules had changed (`RuleSetVersion`)."""
    at: Mapped[datetime] = mapped_column(UTCDateTime)
    operator: Mapped[str] = mapped_column(String(64), default="")
    """The name of who played it, at that time."""
    steps: Mapped[list[dict[str, Any]]] = mapped_column(JSON)
    """`services.scenarios.reading.read_result`, for each step."""
