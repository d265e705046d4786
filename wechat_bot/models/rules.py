"""Rules: answers that owners prepare in the console, their history, and how often they answered."""

from datetime import date, datetime
from typing import Any

from sqlalchemy import JSON, Date, ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from ..extensions import MYSQL, Model
from .columns import ROW_ID, UTCDateTime
from .history import VersionColumns


class StoredRule(Model):
    """A rule of an account. It stays when it is deleted, so that its id names it for ever."""

    __tablename__ = "rules"
    __table_args__ = (Index(None, "account_id", "position"), MYSQL)

    id: Mapped[int] = mapped_column(ROW_ID, primary_key=True)
    account_id: Mapped[int] = mapped_column(ROW_ID, ForeignKey("accounts.id"))
    position: Mapped[int | None]
    """Its place among the rules of the account, from 1; None when it is deleted."""
    definition: Mapped[dict[str, Any]] = mapped_column(JSON)
    """`routing.definitions.Rule.to_json`."""
    version: Mapped[int] = mapped_column(default=1)
    """Counts the changes of the definition, so that none is lost."""


class RuleVersion(VersionColumns, Model):
    """A version of a rule."""

    __tablename__ = "rule_versions"

    rule_id: Mapped[int] = mapped_column(ROW_ID, ForeignKey("rules.id"), primary_key=True, sort_order=-1)


class RuleSetVersion(Model):
    """Counts the changes of an account's rules and of their order, so that every process notices them.

    It is no column of `Account`, whose rows pushes lock on MariaDB.
    """

    __tablename__ = "rule_sets"

    account_id: Mapped[int] = mapped_column(ROW_ID, ForeignKey("accounts.id"), primary_key=True)
    version: Mapped[int] = mapped_column(default=1)


class RuleHits(Model):
    """How often a rule answered on a day: a projection of the message log.

    No foreign key, as the log may name rules of a database from which it was restored.
    """

    __tablename__ = "rule_hits"
    __table_args__ = (Index(None, "day"), MYSQL)

    rule_id: Mapped[int] = mapped_column(ROW_ID, primary_key=True, autoincrement=False)
    day: Mapped[date] = mapped_column(Date, primary_key=True)
    """In the account's time zone."""
    hits: Mapped[int]
    last_at: Mapped[datetime] = mapped_column(UTCDateTime)
