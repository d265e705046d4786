"""The files of the library that answers name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from sqlalchemy import Connection, select

from ...models import LibraryFile
from ...routing.answers import FILE_FIELDS
from ...routing.strict_json import Problem, ProblemCode


def ids_in(answer: Mapping[str, Any]) -> dict[str, int]:
    """Return the ids of the files that an answer names, by its fields."""
    return {field: answer[field] for field in FILE_FIELDS if answer.get(field)}


def problems(
    connection: Connection, account_id: int, answers: Mapping[str, Mapping[str, Any]]
) -> Iterator[Problem]:
    """Yield the fields of answers, each with its path, that name no file of the account of their kind.

    The files are locked, so that nobody deletes them before the transaction has ended.
    """
    wanted = {file_id for answer in answers.values() for file_id in ids_in(answer).values()}
    if not wanted:
        return
    of_account = LibraryFile.account_id == account_id, LibraryFile.deleted_at.is_(None)
    found = select(LibraryFile.id, LibraryFile.kind).where(LibraryFile.id.in_(wanted), *of_account)
    kinds = {row.id: row.kind for row in connection.execute(found.with_for_update(read=True))}
    for path, answer in answers.items():
        for field, file_id in ids_in(answer).items():
            kind = "image" if field == "cover_file_id" else answer["kind"]
            if kinds.get(file_id) != kind:
                yield Problem(field, ProblemCode.NO_FILE, kind).within(path)
