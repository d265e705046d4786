"""Re-encoding of untrusted pictures as JPEG."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from threading import Lock

from PIL import Image, ImageOps

from .formats import RefusalReason, RefusedMedia

MAX_PIXELS = 36_000_000
"""Maximum number of pixels; each takes up to 16 bytes of memory."""
MAX_JPEG_PIXELS = 50_000_000
"""Maximum number of pixels of a JPEG, which is decoded at a reduced size."""
MAX_SIDE = 65_535
"""Maximum length of a side in pixels, which limits the memory for reducing a long and narrow picture."""
decoding_lock = Lock()
"""Held while a picture is decoded, so that several large ones do not exhaust the memory together."""


def as_jpeg(content: bytes, decoder: str, side: int, max_bytes: int) -> bytes:
    """Return a picture as JPEG of at most `max_bytes`, whose longer side has at most `side` pixels.

    An animation is reduced to its first frame.

    :param decoder: name of its format in Pillow; no other format is decoded.
    :raises RefusedMedia: if the picture is damaged or has too many pixels.
    """
    while len(encoded := _encode(content, decoder, side)) > max_bytes:
        side //= 2
    return encoded


def is_animated(content: bytes, decoder: str) -> bool:
    """Whether a picture has more than one frame.

    :raises RefusedMedia: if the picture is damaged or has too many pixels.
    """
    with _open(content, decoder) as image:
        return getattr(image, "is_animated", False)


def _encode(content: bytes, decoder: str, side: int) -> bytes:
    output = BytesIO()
    with _open(content, decoder) as image:
        image.draft("RGB", (side, side))  # decodes a JPEG at a reduced size, which saves memory
        image.thumbnail((side, side))
        _on_white(ImageOps.exif_transpose(image)).save(output, "JPEG", quality=82)
    return output.getvalue()


@contextmanager
def _open(content: bytes, decoder: str) -> Iterator[Image.Image]:
    """Open a picture, of which only the header is read, and which no other caller decodes meanwhile.

    :raises RefusedMedia: if the header tells too many pixels, or the picture proves to be damaged.
    """
    max_pixels = MAX_JPEG_PIXELS if decoder == "JPEG" else MAX_PIXELS
    try:
        with decoding_lock, Image.open(BytesIO(content), formats=(decoder,)) as image:
            if image.width * image.height > max_pixels or max(image.size) > MAX_SIDE:
                raise RefusedMedia(RefusalReason.TOO_MANY_PIXELS)
            yield image
    except RefusedMedia:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise RefusedMedia(RefusalReason.TOO_MANY_PIXELS) from None
    except Exception:  # noqa: BLE001 (decoders raise arbitrary exceptions for invalid files)
        raise RefusedMedia(RefusalReason.DAMAGED) from None


def _on_white(image: Image.Image) -> Image.Image:
    """Return the image on a white background, since JPEG has no transparency."""
    if not image.has_transparency_data:
        return image.convert("RGB")
    rgba = image.convert("RGBA")
    white = Image.new("RGBA", rgba.size, "white")
    return Image.alpha_composite(white, rgba).convert("RGB")
