"""The profiles of accounts. Every version is kept, and none is overwritten unseen."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from threading import Lock
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import Connection, Engine, Row, insert, select, update

from ...database.transactions import retry_conflicts, transaction
from ...llm import LanguageModel
from ...models import AssistantProfileVersion, Change, StoredAssistantProfile
from ...routing import strict_json
from ...routing.strict_json import InvalidDefinition
from .. import audit
from ..audit import Actor
from ..operators.sealing import Sealer
from ..versions import version_values
from .profile import AssistantProfile

KEPT = 2.0
"""Seconds for which a process uses a profile that it has read."""
SUBJECT = "assistant"
"""The name of the profile in the audit log."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class StoredProfile:
    """The profile of an account as it is stored."""

    account_id: int
    version: int
    """0 if none was ever saved; the profile then has its defaults."""
    profile: AssistantProfile
    has_key: bool


class ProfileNotFound(LookupError):
    """There is no such version."""


class Conflict(Exception):
    """Somebody else has changed the profile meanwhile; nothing was written."""

    def __init__(self, mine: AssistantProfile, current: StoredProfile) -> None:
        super().__init__(f"the profile has version {current.version} by now")
        self.mine = mine
        self.current = current


@dataclass(frozen=True)
class _Entry:
    stored: StoredProfile
    sealed_key: str
    read_at: float


class Profiles:
    """Reads and changes the profiles of accounts. Thread-safe."""

    def __init__(self, engine: Engine, sealer: Sealer, clock: Callable[[], float] = time.monotonic) -> None:
        self._engine = engine
        self._sealer = sealer
        self._clock = clock
        self._entries: dict[int, _Entry] = {}
        self._reading = Lock()
        """Held by the thread that reads a profile again; the others go on with what they have."""

    # Reading

    def current(self, account_id: int) -> StoredProfile:
        """Return the profile of an account, which may have been changed in the last `KEPT` seconds."""
        return self._entry(account_id).stored

    def latest(self, account_id: int) -> StoredProfile:
        """Return the profile that the database has."""
        return self._load(account_id).stored

    def model(self, stored: StoredProfile) -> LanguageModel:
        """Return the language model of a profile, which may be a draft that is not saved.

        The key is sent to the server for which it was saved and to no other.

        :raises ValueError: if the profile has no address.
        """
        entry, profile = self._entry(stored.account_id), stored.profile
        is_own = _origin(profile.base_url) == _origin(entry.stored.profile.base_url)
        key = self._open(entry.sealed_key) if is_own else ""
        return LanguageModel(profile.base_url, key, profile.model, profile.timeout, profile.parameters or {})

    def history(self, account_id: int) -> Sequence[Row[Any]]:
        """Return the versions, newest first, as rows of `AssistantProfileVersion`."""
        found = select(AssistantProfileVersion.__table__).where(
            AssistantProfileVersion.account_id == account_id
        )
        with self._engine.connect() as connection:
            return connection.execute(found.order_by(AssistantProfileVersion.version.desc())).all()

    def _entry(self, account_id: int) -> _Entry:
        held = self._entries.get(account_id)
        if held is None:
            return self._load(account_id)
        if self._clock() - held.read_at < KEPT or not self._reading.acquire(blocking=False):
            return held
        try:
            return self._load(account_id)
        finally:
            self._reading.release()

    def _load(self, account_id: int) -> _Entry:
        read_at = self._clock()
        with self._engine.connect() as connection:
            row = _row(connection, account_id)
        entry = self._entries[account_id] = _Entry(
            self._stored(account_id, row), row.sealed_key if row else "", read_at
        )
        return entry

    def _stored(self, account_id: int, row: Row[Any] | None) -> StoredProfile:
        if row is None:
            return StoredProfile(account_id, 0, AssistantProfile(), has_key=False)
        return StoredProfile(account_id, row.version, _read(row), has_key=bool(self._open(row.sealed_key)))

    def _open(self, sealed_key: str) -> str:
        """Return the key; empty if there is none, or if SECRET_KEY is another by now."""
        return (self._sealer.open(sealed_key) if sealed_key else None) or ""

    # Changes

    @retry_conflicts
    def save(
        self, actor: Actor, account_id: int, seen_version: int, profile: AssistantProfile, key: str | None
    ) -> int:
        """Replace `seen_version` of the profile, and return the new version, or the same if nothing changes.

        :param key: the new key; empty to remove it; None to keep the one that is stored, which is removed
            nevertheless if the profile names another server.
        :raises InvalidDefinition: if the profile is not valid.
        :raises Conflict: if the profile has another version by now.
        """
        if problems := tuple(profile.problems()):
            raise InvalidDefinition(problems)
        return self._replace(actor, account_id, seen_version, profile, key, None)

    @retry_conflicts
    def restore(self, actor: Actor, account_id: int, version: int) -> int:
        """Make an earlier version the present one, and return its new number.

        :raises ProfileNotFound: if there is no such version.
        :raises InvalidDefinition: if it is valid no more.
        """
        found = (row.definition for row in self.history(account_id) if row.version == version)
        definition = next(found, None)
        if definition is None:
            raise ProfileNotFound
        profile = strict_json.read(AssistantProfile, definition)
        return self._replace(actor, account_id, None, profile, None, Change.RESTORED)

    def _replace(
        self,
        actor: Actor,
        account_id: int,
        seen_version: int | None,
        profile: AssistantProfile,
        key: str | None,
        change: Change | None,
    ) -> int:
        with transaction(self._engine) as connection:
            row = _row(connection, account_id, lock=True)
            before = self._stored(account_id, row)
            if seen_version not in {before.version, None}:
                raise Conflict(profile, before)
            sealed = self._sealed(row, before.profile, profile, key)
            if row and profile == before.profile and sealed == row.sealed_key:
                return before.version
            _write(connection, account_id, profile, sealed, before.version + 1)
            change = change or _change(before, profile)
            _record(connection, actor, before, replace(before, profile=profile, has_key=bool(sealed)), change)
        self._entries.pop(account_id, None)
        return before.version + 1

    def _sealed(
        self, row: Row[Any] | None, before: AssistantProfile, after: AssistantProfile, key: str | None
    ) -> str:
        if key:
            return self._sealer.seal(key)
        keeps_key = key is None and _origin(before.base_url) == _origin(after.base_url)
        return row.sealed_key if row and keeps_key else ""


def _row(connection: Connection, account_id: int, *, lock: bool = False) -> Row[Any] | None:
    found = select(StoredAssistantProfile.__table__).where(StoredAssistantProfile.account_id == account_id)
    return connection.execute(found.with_for_update() if lock else found).one_or_none()


def _read(row: Row[Any]) -> AssistantProfile:
    """Return the profile of a row; one that another release has written is off, and has its defaults."""
    try:
        return strict_json.read(AssistantProfile, row.definition)
    except InvalidDefinition as error:
        log.error("the profile of the assistant of account %d is left out: %s", row.account_id, error)
        return AssistantProfile()


def _origin(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    return parts.scheme, parts.netloc


def _change(before: StoredProfile, after: AssistantProfile) -> Change:
    if not before.version:
        return Change.CREATED
    if after == before.profile or replace(after, enabled=before.profile.enabled) != before.profile:
        return Change.EDITED
    return Change.ENABLED if after.enabled else Change.DISABLED


def _write(
    connection: Connection, account_id: int, profile: AssistantProfile, sealed: str, version: int
) -> None:
    values = {"definition": strict_json.to_json(profile), "sealed_key": sealed, "version": version}
    if version == 1:
        connection.execute(insert(StoredAssistantProfile).values(values | {"account_id": account_id}))
    else:
        this = StoredAssistantProfile.account_id == account_id
        connection.execute(update(StoredAssistantProfile).where(this).values(values))


def _record(
    connection: Connection, actor: Actor, before: StoredProfile, after: StoredProfile, change: Change
) -> None:
    """Add the version to the history, and an entry to the audit log. They tell whether there is a key."""
    definition = strict_json.to_json(after.profile)
    values = version_values(actor, change, before.version + 1, definition)
    connection.execute(insert(AssistantProfileVersion).values(values | {"account_id": before.account_id}))
    action = "assistant_restored" if change is Change.RESTORED else "assistant_saved"
    audit.record(connection, actor, action, SUBJECT, before=_audited(before), after=_audited(after))


def _audited(stored: StoredProfile) -> dict[str, Any]:
    return {**strict_json.to_json(stored.profile), "has_key": stored.has_key}
