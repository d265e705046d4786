"""The channels of an account as admins edit them.

Addresses of robots and secrets of signatures are sealed when they are written, and shown masked. The audit
log has neither.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import Connection, Engine, Row, delete, func, insert, select, update

from ...database.clock import database_now
from ...database.transactions import retry_conflicts, transaction
from ...models import Alert, AlertChannel
from ...models.rows import new_row
from ...routing import strict_json
from ...routing.strict_json import InvalidDefinition, Problem, ProblemCode
from .. import audit
from ..accounts import locked_account
from ..audit import Actor
from ..operators.sealing import Sealer
from .definitions import Channel, Medium

MAX_CHANNELS = 20
"""Upper limit of the channels of an account."""
MAX_URL = 1024
MAX_SECRET = 256

_URL = re.compile(r"https?://[^\s/?#@]+(?:[/?][^\s#]*)?", re.IGNORECASE)


@dataclass(frozen=True)
class Secrets:
    """What an admin enters to reach a channel; None keeps what is stored."""

    url: str | None = None
    secret: str | None = None


class ChannelNotFound(LookupError):
    """The account has no such channel."""


class ChannelConflict(Exception):
    """Somebody else has changed the channel meanwhile; nothing was written."""

    def __init__(self, version: int) -> None:
        super().__init__(f"the channel has version {version} by now")
        self.version = version


# Reading


def all_of(connection: Connection, account_id: int) -> list[tuple[Row[Any], Channel]]:
    """Return the channels of an account: rows of `AlertChannel` with their definitions."""
    found = select(AlertChannel.__table__).where(AlertChannel.account_id == account_id)
    return [(row, definition_of(row)) for row in connection.execute(found.order_by(AlertChannel.id))]


def find(connection: Connection, account_id: int, channel_id: int) -> Row[Any]:
    """Return the row of a channel.

    :raises ChannelNotFound: if there is none.
    """
    this = AlertChannel.id == channel_id, AlertChannel.account_id == account_id
    row = connection.execute(select(AlertChannel.__table__).where(*this)).one_or_none()
    if row is None:
        raise ChannelNotFound
    return row


def definition_of(row: Any) -> Channel:
    return strict_json.read(Channel, row.definition)


def masked_address(sealer: Sealer, row: Any) -> str:
    """Return the host of a channel's address and its last characters; empty if it cannot be opened."""
    url = sealer.open(row.sealed_url) or ""
    return f"{urlsplit(url).netloc}/…{url[-4:]}" if url else ""


# Changes


def subject(channel_id: int) -> str:
    """Return the name of a channel in the audit log."""
    return f"alert_channel:{channel_id}"


@retry_conflicts
def create(
    engine: Engine, sealer: Sealer, actor: Actor, account_id: int, definition: object, secrets: Secrets
) -> int:
    """Add a channel, and return its id. It is told of those who begin to wait from now on.

    :raises InvalidDefinition: if it is not valid, or there are too many.
    """
    channel, now = _checked(definition, secrets, is_new=True), database_now()
    with locked_account(engine, account_id) as connection:
        count = select(func.count()).select_from(AlertChannel).where(AlertChannel.account_id == account_id)
        if (connection.scalar(count) or 0) >= MAX_CHANNELS:
            raise InvalidDefinition((Problem("name", ProblemCode.TOO_MANY, str(MAX_CHANNELS)),))
        values = {"account_id": account_id, "created_at": now, "next_at": now}
        row = new_row(AlertChannel, **values, **_columns(sealer, channel, secrets))
        channel_id: int = connection.execute(insert(AlertChannel).values(row)).inserted_primary_key[0]  # type: ignore[index]
        audit.record(connection, actor, "alert_channel_created", subject(channel_id), after=row["definition"])
    return channel_id


@retry_conflicts
def save(
    engine: Engine,
    sealer: Sealer,
    actor: Actor,
    account_id: int,
    channel_id: int,
    version: int,
    definition: object,
    secrets: Secrets,
) -> None:
    """Replace `version` of a channel. It keeps its medium; its next message is sent without delay.

    :raises InvalidDefinition: if it is not valid.
    :raises ChannelNotFound: if there is none.
    :raises ChannelConflict: if it has another version by now.
    """
    with transaction(engine) as connection:
        row = _locked(connection, account_id, channel_id)
        if row.version != version:
            raise ChannelConflict(row.version)
        channel = _checked(definition, secrets, is_new=False)
        if channel.medium != row.definition["medium"]:
            raise InvalidDefinition((Problem("medium", ProblemCode.VALUE, row.definition["medium"]),))
        values = _columns(sealer, channel, secrets) | {"version": version + 1}
        if row.failures:  # it may be mended
            values |= {"next_at": database_now()}
        connection.execute(update(AlertChannel).where(AlertChannel.id == channel_id).values(values))
        after, detail = values["definition"], _detail(secrets)
        changed = {"before": row.definition, "after": after, "detail": detail}
        audit.record(connection, actor, "alert_channel_saved", subject(channel_id), **changed)


@retry_conflicts
def remove(engine: Engine, actor: Actor, account_id: int, channel_id: int) -> None:
    """Delete a channel, with its secrets.

    :raises ChannelNotFound: if there is none.
    """
    with transaction(engine) as connection:
        row = _locked(connection, account_id, channel_id)
        connection.execute(delete(Alert).where(Alert.channel_id == channel_id))
        connection.execute(delete(AlertChannel).where(AlertChannel.id == channel_id))
        audit.record(connection, actor, "alert_channel_deleted", subject(channel_id), before=row.definition)


def _locked(connection: Connection, account_id: int, channel_id: int) -> Row[Any]:
    this = AlertChannel.id == channel_id, AlertChannel.account_id == account_id
    row = connection.execute(select(AlertChannel.__table__).where(*this).with_for_update()).one_or_none()
    if row is None:
        raise ChannelNotFound
    return row


def _checked(definition: object, secrets: Secrets, *, is_new: bool) -> Channel:
    """Return the channel of a definition.

    :raises InvalidDefinition: with all problems, also those of the secrets.
    """
    try:
        channel = strict_json.read(Channel, definition)
    except InvalidDefinition as error:
        raise InvalidDefinition((*error.problems, *_secret_problems(secrets))) from None
    problems = [*_secret_problems(secrets)]
    if is_new and channel.medium is not Medium.MAIL and not secrets.url:
        problems.append(Problem("url", ProblemCode.MISSING))
    if secrets.secret and not channel.medium.signs:
        problems.append(Problem("secret", ProblemCode.USELESS, channel.medium))
    if problems:
        raise InvalidDefinition(tuple(problems))
    return channel


def _secret_problems(secrets: Secrets) -> Iterator[Problem]:
    for field, text, limit in (("url", secrets.url, MAX_URL), ("secret", secrets.secret, MAX_SECRET)):
        if text and len(text) > limit:
            yield Problem(field, ProblemCode.CHARACTERS, str(limit))
    if secrets.url and not _URL.fullmatch(secrets.url):
        yield Problem("url", ProblemCode.FORMAT, "https://example.com/…")


def _columns(sealer: Sealer, channel: Channel, secrets: Secrets) -> dict[str, Any]:
    values: dict[str, Any] = {"definition": strict_json.to_json(channel)}
    if secrets.url is not None and channel.medium is not Medium.MAIL:
        values["sealed_url"] = sealer.seal(secrets.url)
    if secrets.secret is not None:
        values["sealed_secret"] = sealer.seal(secrets.secret) if secrets.secret else ""
    return values


def _detail(secrets: Secrets) -> str:
    """Name the secrets that were replaced, for the audit log."""
    return ", ".join(name for name in ("url", "secret") if getattr(secrets, name) is not None)
