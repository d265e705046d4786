"""The custom menu: its versions, and how often its buttons were tapped."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import ForeignKey, Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from ..extensions import MYSQL, Model
from .columns import LONG_TEXT, ROW_ID, UTCDateTime, exact


class MenuState(StrEnum):
    """Where a version of a menu stands: `DRAFT` → `SCHEDULED` → `PUBLISHED` or `FAILED`.

    A menu has one draft at most. A draft or a scheduled version that was given up is `WITHDRAWN`, as are
    menus that somebody made elsewhere and that a publication or deletion replaced.
    """

    DRAFT = "draft"
    SCHEDULED = "scheduled"
    PUBLISHED = "published"
    FAILED = "failed"
    WITHDRAWN = "withdrawn"


class ConditionalMenu(Model):
    """A menu that some followers see instead of the default one. It stays when it is deleted."""

    __tablename__ = "conditional_menus"
    __table_args__ = (Index(None, "account_id", "position"), MYSQL)

    id: Mapped[int] = mapped_column(ROW_ID, primary_key=True)
    account_id: Mapped[int] = mapped_column(ROW_ID, ForeignKey("accounts.id"))
    position: Mapped[int | None]
    """Its place among the conditional menus of the account, of which the first that is meant for a follower
    is shown; None when it is deleted."""
    menuid: Mapped[str] = mapped_column(String(64), default="")
    """The platform's id of what followers see; empty if it is not published."""


class MenuVersion(Model):
    """A version of a menu. Only the buttons and conditions of a draft change."""

    __tablename__ = "menu_versions"
    __table_args__ = (UniqueConstraint("account_id", "number"), MYSQL)

    id: Mapped[int] = mapped_column(ROW_ID, primary_key=True)
    account_id: Mapped[int] = mapped_column(ROW_ID, ForeignKey("accounts.id"))
    menu_id: Mapped[int | None] = mapped_column(ROW_ID, ForeignKey("conditional_menus.id"))
    """The conditional menu; None for the default menu."""
    number: Mapped[int]
    """Counts the versions of the account, from 1."""
    revision: Mapped[int] = mapped_column(default=1)
    """Grows with every change of the draft, so that nobody's change is overwritten."""
    state: Mapped[MenuState] = mapped_column(String(16))
    buttons: Mapped[str] = mapped_column(LONG_TEXT)
    """The buttons as JSON, in the platform's form (`services.menus.buttons.load`)."""
    tag_id: Mapped[str] = mapped_column(String(16), default="")
    client: Mapped[str] = mapped_column(String(16), default="")
    """Who sees a conditional menu (`services.menus.audiences.Audience`)."""
    operator: Mapped[str] = mapped_column(String(64), default="")
    """The name of the operator who changed it last; empty for a menu that was made elsewhere."""
    changed_at: Mapped[datetime] = mapped_column(UTCDateTime)
    publish_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    """When it is to be published, or was."""
    claimed_until: Mapped[datetime | None] = mapped_column(UTCDateTime)
    """Until then the process that set it publishes the version alone."""
    menuid: Mapped[str] = mapped_column(String(64), default="")
    """The platform's id of the published menu."""
    errcode: Mapped[int | None]
    error: Mapped[str] = mapped_column(String(255), default="")


class MenuClicks(Model):
    """How often a button was tapped within an hour; projected from the message log."""

    __tablename__ = "menu_clicks"

    account_id: Mapped[int] = mapped_column(ROW_ID, ForeignKey("accounts.id"), primary_key=True)
    hour: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    """Hours since 1970, UTC."""
    target: Mapped[str] = mapped_column(exact(32), primary_key=True)
    """The digest of the event and its key (`services.menus.clicks.target_of`)."""
    clicks: Mapped[int]
