"""Writes all that is known of a follower into a ZIP file, in constant memory."""

from __future__ import annotations

import json
import mimetypes
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo
from typing import Any
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile, ZipInfo

from sqlalchemy import ColumnElement, Engine, Row, inspect, select

from ...models import Media, MediaState, MessageLog
from ..media.blobs import BlobStore
from ..messages.export import BOM, ExportFormat, csv_lines
from ..messages.export import stream as messages
from ..messages.filters import MessageFilter
from .places import FOLLOWER, PLACES, Place

BATCH_SIZE = 500
README = """\
这里是公众号保存的关于一位粉丝的全部数据。CSV 文件可以用表格软件打开；messages.jsonl 的每一行是一条消息，
带有平台的原始字段；media 文件夹里是图片、语音和视频，名字以消息的编号开头。

Everything that the account keeps about one follower. The CSV files open in a spreadsheet; each line of
messages.jsonl is a message with its fields as the platform sent them; the folder media has pictures, voices
and videos, whose names begin with the number of the message.
"""


@dataclass(frozen=True)
class _File:
    name: str
    content: Iterator[bytes]
    compression: int = ZIP_DEFLATED


def stream(
    engine: Engine, store: BlobStore, account_id: int, follower_id: int, now: datetime, zone: tzinfo
) -> Iterator[bytes]:
    """Yield the ZIP file of a follower in pieces. Times are in `zone`.

    Each piece is read by itself, so that no transaction stays open while it is sent. Files that are not in
    the store are left out.

    :raises OSError: if the store cannot be reached.
    """
    written = _Pieces()
    local = now.astimezone(zone)
    with ZipFile(written, "w") as archive:
        for file in _files(engine, store, account_id, follower_id, zone):
            info = ZipInfo(file.name, local.timetuple()[:6])
            info.compress_type = file.compression
            with archive.open(info, "w", force_zip64=True) as entry:
                for piece in file.content:
                    entry.write(piece)
                    yield written.take()
            yield written.take()
    yield written.take()


class _Pieces:
    """Keeps what is written until it is taken."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def write(self, data: bytes) -> int:
        self._pieces.append(bytes(data))
        return len(data)

    def flush(self) -> None:
        pass

    def close(self) -> None:
        pass

    def take(self) -> bytes:
        whole = b"".join(self._pieces)
        self._pieces.clear()
        return whole


def _files(
    engine: Engine, store: BlobStore, account_id: int, follower_id: int, zone: tzinfo
) -> Iterator[_File]:
    yield _File("README.txt", iter([README.encode()]))
    for place in (FOLLOWER, *(place for place in PLACES if place.exported)):
        name = f"{place.model.__tablename__}.csv"
        yield _File(name, _table(engine, place, follower_id, zone))
    chosen = MessageFilter(follower=follower_id)
    for form in ExportFormat:
        pieces = messages(engine, account_id, chosen, form, bom=form is ExportFormat.CSV, zone=zone)
        yield _File(f"messages.{form}", map(str.encode, pieces))
    yield from _media(engine, store, follower_id)


def _table(engine: Engine, place: Place, follower_id: int, zone: tzinfo) -> Iterator[bytes]:
    """Yield the rows of a place as CSV."""
    columns = place.model.__table__.columns
    yield (BOM + csv_lines([columns.keys()])).encode()
    for rows in _batches(engine, place.model, columns, place.of(follower_id)):
        yield csv_lines([_cell(value, zone) for value in row] for row in rows).encode()


def _batches(
    engine: Engine, model: Any, columns: Any, which: ColumnElement[bool]
) -> Iterator[Sequence[Row[Any]]]:
    """Yield rows in batches by their id. Tables without one have few rows of a follower."""
    found = select(*columns).where(which)
    has_id = [column.name for column in inspect(model).primary_key] == ["id"]
    if has_id:
        found = found.order_by(model.id).limit(BATCH_SIZE)
    last = 0
    while True:
        with engine.connect() as connection:
            rows = connection.execute(found.where(model.id > last) if has_id else found).all()
        if rows:
            yield rows
        if not has_id or len(rows) < BATCH_SIZE:
            return
        last = rows[-1].id


def _cell(value: Any, zone: tzinfo) -> Any:
    if isinstance(value, datetime):
        return value.astimezone(zone).isoformat()
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) else value


def _media(engine: Engine, store: BlobStore, follower_id: int) -> Iterator[_File]:
    """Yield the files of the messages of a follower."""
    of_follower = select(MessageLog.id).where(MessageLog.follower_id == follower_id)
    which = Media.message_id.in_(of_follower) & (Media.state == MediaState.STORED)
    columns = Media.id, Media.message_id, Media.kind, Media.digest, Media.content_type
    for rows in _batches(engine, Media, columns, which):
        for row in rows:
            if store.size(row.digest) is not None:
                extension = mimetypes.guess_extension(row.content_type) or ""
                name = f"media/{row.message_id}-{row.kind}{extension}"
                yield _File(name, store.open(row.digest), ZIP_STORED)
