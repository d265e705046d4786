"""Paints the pictures that sample followers sent: cups of tea, tea hills and parcels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from io import BytesIO
from random import Random

from PIL import Image, ImageDraw, ImageFilter, ImageOps
from sqlalchemy import Engine, select, update

from ..database.transactions import retry_conflicts, transaction
from ..models import Follower, Media, MediaState, MessageLog
from ..services.media.archive import Archive
from .messages import OPENID_PREFIX

PICTURE_COUNT = 24
"""Different pictures, which the messages share."""
SIZE = (960, 720)
"""Width and height in pixels."""
BATCH_SIZE = 1000
"""Rows of one UPDATE."""


def attach_pictures(engine: Engine, archive: Archive, seed: int) -> None:
    """Store `PICTURE_COUNT` pictures and assign them to the picture messages of all sample followers."""
    rng = Random(f"pictures {seed}")  # noqa: S311
    found = (
        select(Media.id)
        .join(MessageLog, MessageLog.id == Media.message_id)
        .join(Follower, Follower.id == MessageLog.follower_id)
        .where(Media.kind == "image", Media.digest == "", Follower.openid.startswith(OPENID_PREFIX))
    )
    with engine.connect() as connection:
        ids = list(connection.scalars(found))
    for number in range(PICTURE_COUNT):
        file = asdict(archive.store_upload(paint(rng), "image"))
        assigned = ids[number::PICTURE_COUNT]
        for start in range(0, len(assigned), BATCH_SIZE):
            _store(engine, assigned[start : start + BATCH_SIZE], file)


@retry_conflicts
def _store(engine: Engine, ids: Sequence[int], file: dict[str, object]) -> None:
    stored = {"state": MediaState.STORED, "error": "", "stored_at": datetime.now(UTC), **file}
    with transaction(engine) as connection:
        connection.execute(update(Media).where(Media.id.in_(ids)).values(stored))


def paint(rng: Random) -> bytes:
    """Paint a picture and return it as JPEG."""
    light, shade = rng.choice((("#fdf3df", "#e6cfa6"), ("#dcecf2", "#f7e6d0"), ("#e8efe0", "#c9d8bd")))
    image = ImageOps.colorize(Image.linear_gradient("L").resize(SIZE), light, shade)
    rng.choice((_paint_tea, _paint_hills, _paint_parcel))(ImageDraw.Draw(image), rng)
    written = BytesIO()
    image.filter(ImageFilter.GaussianBlur(1.2)).save(written, "JPEG", quality=85)
    return written.getvalue()


def _paint_tea(draw: ImageDraw.ImageDraw, rng: Random) -> None:
    tea = rng.choice(("#b5651d", "#c9a227", "#9caf50", "#7b2d26"))
    china = rng.choice(("#f7f3ec", "#3f5b57", "#dfe7ea"))
    x, y = rng.randint(400, 560), rng.randint(360, 420)
    draw.rectangle((0, y + 60, *SIZE), "#8a6242")
    draw.ellipse((x - 260, y + 90, x + 260, y + 210), "#e9e2d6", "#cbbfae", 4)
    draw.arc((x + 110, y - 30, x + 270, y + 110), 270, 90, china, 30)
    draw.pieslice((x - 180, y - 180, x + 180, y + 180), 0, 180, china)
    draw.ellipse((x - 180, y - 50, x + 180, y + 50), china, "#b9b1a4", 3)
    draw.ellipse((x - 160, y - 38, x + 160, y + 40), tea)
    for offset in (-70, 0, 70):
        draw.arc((x + offset - 40, y - 240, x + offset + 40, y - 70), 100, 260, "#ffffff", 6)


def _paint_hills(draw: ImageDraw.ImageDraw, rng: Random) -> None:
    sun = rng.randint(120, 820)
    draw.ellipse((sun, 70, sun + 130, 200), "#f6b756")
    for top, colour in ((300, "#9bb89a"), (400, "#6f9a6b"), (510, "#457a46")):
        ridge = [(x, top + rng.randint(-70, 40)) for x in range(-80, SIZE[0] + 161, 160)]
        draw.polygon([*ridge, (SIZE[0] + 160, SIZE[1]), (-80, SIZE[1])], colour)
    for row in range(6):
        y = 590 + 26 * row
        draw.arc((-200, y, SIZE[0] + 200, y + 260), 190, 350, "#2f5c33", 9)


def _paint_parcel(draw: ImageDraw.ImageDraw, rng: Random) -> None:
    card = rng.choice(("#c79a63", "#b98a57", "#d8b27c"))
    x, y = rng.randint(180, 280), rng.randint(230, 300)
    draw.rectangle((0, y + 260, *SIZE), "#9a9288")
    draw.polygon([(x, y), (x + 120, y - 90), (x + 600, y - 90), (x + 520, y)], "#dcbd8d")
    draw.polygon([(x + 520, y), (x + 600, y - 90), (x + 600, y + 230), (x + 520, y + 340)], "#a5794a")
    draw.rectangle((x, y, x + 520, y + 340), card)
    draw.polygon([(x + 230, y), (x + 340, y - 90), (x + 400, y - 90), (x + 290, y)], "#f2e6c9")
    draw.rectangle((x + 230, y, x + 290, y + 130), "#f2e6c9")
    draw.rectangle((x + 330, y + 170, x + 490, y + 300), "#fbfaf6")
    for line in range(4):
        width = rng.randint(70, 130)
        draw.rectangle((x + 345, y + 190 + 26 * line, x + 345 + width, y + 200 + 26 * line), "#6b6b6b")
