"""The files of the library with which rules answer and that buttons of the menu send."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from sqlalchemy import Connection, Engine, select

from ...database.clock import database_now
from ...models import LibraryFile, LibraryMediaId, MenuState
from ...routing.answers import MissingFile
from ..media import answer_files
from ..media.library import Usage, Usages, find_media_id
from ..menus import conditional, versions
from ..menus.buttons import places
from ..menus.versions import Version
from .editing import subject
from .reading import load


def files_in_use(connection: Connection, account_id: int) -> Usages:
    """Return the rules of an account that answer with files, by the ids of the files."""
    used: dict[int, list[Usage]] = defaultdict(list)
    for entry in load(connection, account_id):
        named = (answer_files.ids_in(answer).values() for answer in entry.definition["answers"])
        for file_id in {file_id for ids in named for file_id in ids}:
            used[file_id].append(Usage(subject(entry.id), entry.definition["name"]))
    return used


def files_in_menus(connection: Connection, account_id: int) -> Usages:
    """Return the buttons that send permanent copies of files, by the ids of the files."""
    of_account = LibraryFile.account_id == account_id, LibraryMediaId.permanent
    copies = select(LibraryMediaId.media_id, LibraryFile.id).join(LibraryFile).where(*of_account)
    files = {row.media_id: row.id for row in connection.execute(copies) if row.media_id}
    used: dict[int, list[Usage]] = defaultdict(list)
    for version in _menus_in_use(connection, account_id) if files else ():
        for _, button in places(version.menu or ()):
            if file_id := files.get(button.media_id):
                used[file_id].append(Usage(f"menu:{account_id}", button.name))
    return used


def _menus_in_use(connection: Connection, account_id: int) -> Iterator[Version]:
    """Yield the draft, what will be published and what was published last, also of conditional menus."""
    entries = conditional.entries(connection, account_id)
    for menu_id in (None, *(entry.id for entry in entries)):
        for version in versions.history(connection, account_id, menu_id):
            if version.row.state not in {MenuState.WITHDRAWN, MenuState.FAILED}:
                yield version
            if version.row.state == MenuState.PUBLISHED:
                break


def media_id(engine: Engine, account_id: int, file_id: int) -> str:
    """Return the id of the platform's copy of an account's file. Makes no call, for which a push would wait.

    :raises MissingFile: if there is no copy that can be sent.
    """
    with engine.connect() as connection:
        found = find_media_id(connection, account_id, file_id, database_now())
    if found is None:
        raise MissingFile(f"the platform has no copy of file {file_id}")
    return found
