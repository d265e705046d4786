"""Imports the menu and the automatic replies that the account had set in the platform's console."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import Engine

from ...routing.definitions import Rule
from ...wechat.api import WeChatClient
from ...wechat.errors import APIError, Forbidden, NotFound
from ..audit import Actor
from ..media.formats import RefusalReason, RefusedMedia
from ..media.library import MAX_BYTES, Library, kind_of
from ..menus import versions
from . import editing, reading
from .conversion import Files, Report, Source, convert, files_in
from .reading import ImportedRule, RuleEntry

log = logging.getLogger(__name__)

ADDRESS = "address"
"""Why a file is not fetched of which the platform tells an address only."""


class Difference(StrEnum):
    """How a rule of a report differs from what was imported before."""

    NEW = "new"
    SAME = "same"
    """It was imported, and neither side has changed it since."""
    CHANGED_HERE = "changed_here"
    """It was imported, and then changed or deleted in our console."""
    CHANGED_THERE = "changed_there"
    """It has changed in the platform's console since it was imported."""


@dataclass(eq=False)
class Importer:
    """Reads what was set in the platform's console, and adds it to the rules."""

    engine: Engine
    client: WeChatClient | None
    """None if the account has no API."""
    library: Library

    def report(self, actor: Actor, account_id: int) -> Report:
        """Read the menu and the automatic replies, fetch their files into the library, and convert them.

        No rule changes.

        :raises APIError: if they cannot be read.
        """
        if not self.client:
            raise Forbidden(48001, "the account has no API")
        replies, menu = self.client.system.auto_replies(), self.client.menu.current()
        files: Files = {
            source: self._fetch(self.client, actor, account_id, source, kind)
            for source, kind in files_in(replies, menu).items()
        }
        with self.engine.connect() as connection:
            answered = reading.by_key(connection, account_id)
        return convert(replies, menu, files, answered)

    def _fetch(
        self, client: WeChatClient, actor: Actor, account_id: int, source: str, kind: str
    ) -> int | str:
        """Return the id of a file that is in the library now, or why it is not."""
        if "://" in source:
            return ADDRESS
        try:
            content = _download(client, source, MAX_BYTES[kind])
            if kind_of(content) != kind:
                return RefusalReason.FORMAT
            return self.library.add(actor, account_id, f"{kind} {source[:8]}", content)
        except RefusedMedia as refused:
            return refused.reason
        except APIError as error:
            log.warning("a file of the platform's console was not fetched: %s", error)
            return str(error)

    def differences(self, account_id: int, rules: Sequence[Rule]) -> list[Difference]:
        """Return for each rule how it differs from what was imported before."""
        with self.engine.connect() as connection:
            known = reading.imported(connection, account_id)
        return [_difference(rule.to_json(), known) for rule in rules]

    def store(self, actor: Actor, account_id: int, report: Report) -> list[RuleEntry]:
        """Add the rules of a report behind the others, in one transaction, and return those that are new.

        Rules that were imported before stay as they are, also those that were changed or deleted since. If
        rules answer buttons, the menu that has their keys is kept in the history of the menu.

        :raises InvalidDefinition: if there would be too many rules or patterns; no rule is imported then.
        """
        if any(item.source is Source.MENU and item.rule for item in report.items):
            versions.keep(self.engine, actor, account_id, report.menu)
        return editing.add_missing(self.engine, actor, account_id, report.rules)


def _difference(definition: dict[str, Any], known: Sequence[ImportedRule]) -> Difference:
    same = [each for each in known if each.comes_from(definition)]
    if not same:
        return Difference.NEW
    unchanged = [each for each in same if each.original == definition]
    if not unchanged:
        return Difference.CHANGED_THERE
    is_kept = any(each.current == definition for each in unchanged)
    return Difference.SAME if is_kept else Difference.CHANGED_HERE


def _download(client: WeChatClient, media_id: str, max_bytes: int) -> bytes:
    """Download temporary or permanent material, which ids do not tell apart.

    :raises APIError: if it is neither, or cannot be fetched.
    """
    try:
        return client.media.download(media_id, max_bytes).content
    except (NotFound, Forbidden):
        return client.material.download(media_id, max_bytes).content
