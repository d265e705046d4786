"""Pictures of strangers, decoded once and written anew."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO

from PIL import Image, ImageOps

from .formats import RefusalReason, RefusedMedia

MAX_PIXELS = 50_000_000
"""A picture that unfolds to more fills the memory."""


def as_jpeg(content: bytes, decoder: str, side: int, max_bytes: int) -> bytes:
    """A picture as JPEG of at most `max_bytes`, no longer than `side` pixels; RefusedMedia.

    Of an animation it is the first frame.
    """
    while len(made := _written(content, decoder, side)) > max_bytes:
        side //= 2
    return made


def is_animated(content: bytes, decoder: str) -> bool:
    """Whether a picture has more than one frame; RefusedMedia."""
    with _opened(content, decoder) as image:
        return getattr(image, "is_animated", False)


def _written(content: bytes, decoder: str, side: int) -> bytes:
    made = BytesIO()
    with _opened(content, decoder) as image:
        image.draft("RGB", (side, side))  # reads all of a JPEG, unfolds no more than is needed
        upright = ImageOps.exif_transpose(image)
        upright.thumbnail((side, side))
        _on_white(upright).save(made, "JPEG", quality=82)
    return made.getvalue()


@contextmanager
def _opened(content: bytes, decoder: str) -> Iterator[Image.Image]:
    try:
        with Image.open(BytesIO(content), formats=(decoder,)) as image:
            if image.width * image.height > MAX_PIXELS:
                raise RefusedMedia(RefusalReason.TOO_MANY_PIXELS)
            yield image
    except RefusedMedia:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise RefusedMedia(RefusalReason.TOO_MANY_PIXELS) from None
    except Exception:  # noqa: BLE001 (decoders raise anything on nonsense)
        raise RefusedMedia(RefusalReason.DAMAGED) from None


def _on_white(image: Image.Image) -> Image.Image:
    """JPEG knows no transparency."""
    if not image.has_transparency_data:
        return image.convert("RGB")
    drawn = image.convert("RGBA")
    white = Image.new("RGBA", drawn.size, "white")
    return Image.alpha_composite(white, drawn).convert("RGB")
