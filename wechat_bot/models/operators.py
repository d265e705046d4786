"""The operators of the console, their sessions, and the throttling of sign-ins."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import JSON, ForeignKey, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from ..extensions import MYSQL, Model
from ..languages import DEFAULT_TIME_ZONE
from .columns import ROW_ID, UTCDateTime, exact


class Role(StrEnum):
    """What an operator may do; each role may also do what those before it may."""

    VIEWER = "viewer"
    """Reads."""
    OPERATOR = "operator"
    """Works: notes, tags, states, exports."""
    ADMIN = "admin"
    """Everything: operators, the audit log, raw messages."""

    def includes(self, other: "Role") -> bool:
        """Whether who has this role may do what `other` may."""
        order = list(Role)
        return order.index(self) >= order.index(other)


class Theme(StrEnum):
    AUTO = "auto"
    LIGHT = "light"
    DARK = "dark"


class Operator(Model):
    """Someone who may sign in, and how they like the console."""

    __tablename__ = "operators"

    id: Mapped[int] = mapped_column(ROW_ID, primary_key=True)
    name: Mapped[str] = mapped_column(exact(64), unique=True)
    role: Mapped[Role] = mapped_column(String(16))
    password_hash: Mapped[str] = mapped_column(String(255))
    """Argon2id, with its parameters."""
    password_temporary: Mapped[bool] = mapped_column(default=False)
    """Whether somebody else knows the password, so that it must be changed before anything else."""
    disabled: Mapped[bool] = mapped_column(default=False)
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)
    last_sign_in_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    last_sign_in_address: Mapped[str] = mapped_column(String(64), default="")
    totp_secret: Mapped[str] = mapped_column(String(255), default="")
    """Base32, sealed; empty without a second factor."""
    totp_step: Mapped[int] = mapped_column(default=0)
    """The last time step whose code was used; a code is good once."""
    recovery_hashes: Mapped[list[str]] = mapped_column(JSON, default=list)
    """SHA-256 of the recovery codes that are left."""
    language: Mapped[str] = mapped_column(String(8), default="")
    """zh or en; empty: what the browser prefers."""
    time_zone: Mapped[str] = mapped_column(String(64), default=DEFAULT_TIME_ZONE)
    theme: Mapped[Theme] = mapped_column(String(8), default=Theme.AUTO)
    shortcuts: Mapped[bool] = mapped_column(default=True)
    """Whether single keys do something."""
    sound: Mapped[bool] = mapped_column(default=False)
    """Whether one is heard when a conversation begins to wait."""
    notifications: Mapped[bool] = mapped_column(default=False)
    """Whether the desktop shows it, where the browser allows."""
    notification_text: Mapped[bool] = mapped_column(default=False)
    """Whether the desktop shows what the follower wrote, too."""
    first_steps: Mapped[bool] = mapped_column(default=True)
    """Whether empty lists show the first steps that are not done."""
    columns: Mapped[list[str]] = mapped_column(JSON, default=list)
    """The optional columns of the message list that are shown."""
    dense: Mapped[bool] = mapped_column(default=False)
    """Whether lists show more rows on a screen."""


class OperatorSession(Model):
    """A browser in which an operator is signed in. Deleting the row signs it out at once."""

    __tablename__ = "operator_sessions"

    id: Mapped[int] = mapped_column(ROW_ID, primary_key=True)
    token_hash: Mapped[str] = mapped_column(exact(64), unique=True)
    """SHA-256 of what the cookie holds."""
    operator_id: Mapped[int] = mapped_column(ROW_ID, ForeignKey("operators.id"), index=True)
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)
    seen_at: Mapped[datetime] = mapped_column(UTCDateTime)
    expires_at: Mapped[datetime] = mapped_column(UTCDateTime)
    address: Mapped[str] = mapped_column(String(64), default="")
    browser: Mapped[str] = mapped_column(String(255), default="")
    """User-Agent."""


class Lockout(Model):
    """Failed sign-ins under a name, from an address, or in a browser that its operator has used before."""

    __tablename__ = "lockouts"
    __table_args__ = (UniqueConstraint("kind", "value"), MYSQL)

    id: Mapped[int] = mapped_column(ROW_ID, primary_key=True)
    kind: Mapped[str] = mapped_column(String(8))
    """name, address or device."""
    value: Mapped[str] = mapped_column(exact(64))
    failures: Mapped[list[float]] = mapped_column(JSON)
    """Seconds since 1970 of each failure of the last day, the last one at the end."""
    failed_at: Mapped[datetime] = mapped_column(UTCDateTime)
    """The time of the last failure."""
    blocked: Mapped[int] = mapped_column(default=0)
    """The number of attempts that were refused since the last failure."""
