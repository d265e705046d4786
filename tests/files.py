"""Files as followers send them, and as strangers make them."""

from __future__ import annotations

import struct
import zlib
from io import BytesIO

import pytest
from PIL import Image

from wechat_bot.simulator.sample_files import AMR, GIF, MP3, MP4, PNG

HTML = b"<!DOCTYPE html><script>window.hacked = 1; parent.hacked = 1</script>"
SVG = b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"><script>parent.hacked=1</script></svg>'
HEIC = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic"

needs_ffmpeg = pytest.mark.usefixtures("ffmpeg")


def picture(form: str = "JPEG", width: int = 64, height: int = 48, **options: object) -> bytes:
    """A picture with as much detail as fits."""
    made = BytesIO()
    noise = Image.effect_noise((width, height), 100).convert("RGB")
    noise.save(made, form, **{"compress_level": 0, **options})  # noise does not get smaller
    return made.getvalue()


def bomb(width: int, height: int) -> bytes:
    """A PNG of some bytes that unfolds to many pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">2I5B", width, height, 1, 0, 0, 0, 0)
    lines = zlib.compress(bytes(1000))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", lines) + chunk(b"IEND", b"")


def gif_bomb(width: int, height: int) -> bytes:
    """A GIF of 34 bytes that unfolds to many pixels."""
    head = struct.pack("<2H3B", width, height, 0x80, 0, 0)
    frame = b"," + struct.pack("<4HB", 0, 0, width, height, 0)
    return b"GIF89a" + head + bytes(6) + frame + b"\x02\x01\x44\0;"


def animation() -> bytes:
    """A GIF of two frames."""
    made = BytesIO()
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    frames[0].save(made, "GIF", save_all=True, append_images=frames[1:])
    return made.getvalue()


GOOD = {
    "png": ("image", PNG, "image/png"),
    "jpeg": ("image", picture(), "image/jpeg"),
    "gif": ("image", GIF, "image/gif"),
    "animated gif": ("image", animation(), "image/gif"),
    "webp": ("image", picture("WEBP"), "image/webp"),
    "amr": ("voice", AMR, "audio/amr"),
    "amr-wb": ("voice", b"#!AMR-WB\n" + bytes(180), "audio/amr-wb"),
    "speex": ("voice", b"OggS" + bytes(24) + b"Speex   " + bytes(60), "audio/ogg"),
    "mp3": ("voice", MP3, "audio/mpeg"),
    "mp3 with a title": ("voice", b"ID3\x04\0\0\0\0\0\x0a" + bytes(10) + MP3, "audio/mpeg"),
    "mp4": ("video", MP4, "video/mp4"),
    "thumb": ("thumb", picture(), "image/jpeg"),
}
"""By name: the kind, the content, and the content type that it has."""

DOWNLOADS = {
    "heic": ("image", HEIC, "image/heic"),
    "bmp": ("image", picture("BMP"), "image/bmp"),
    "a voice as a picture": ("image", AMR, "application/octet-stream"),
    "raw speex": ("voice", bytes([21, 222, 157, 102]) * 60, "application/octet-stream"),
    "wav": ("voice", b"RIFF\x24\0\0\0WAVEfmt " + bytes(28), "audio/wav"),
    "a picture as a voice": ("voice", PNG, "application/octet-stream"),
    "doc": ("voice", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(504), "application/msword"),
    "mov": ("video", b"\0\0\0\x14ftypqt  " + bytes(8), "video/quicktime"),
    "a picture as a video": ("video", HEIC, "image/heic"),
}
"""Files that are not shown, by name: the kind of message, the content, and the content type that it has."""

HOSTILE_FILES = {
    "a web page": ("image", HTML, "format"),
    "a drawing with a script": ("image", SVG, "format"),
    "a picture of a phone": ("image", HEIC, "format"),
    "a picture as a video": ("video", HEIC, "format"),
    "a picture as a voice": ("voice", PNG, "format"),
    "a voice as a picture": ("image", AMR, "format"),
    "a web page as a voice": ("voice", HTML, "format"),
    "half a picture": ("image", picture(width=400, height=400)[:5000], "damaged"),
    "a web page behind the first bytes of a png": ("image", b"\x89PNG\r\n\x1a\n" + HTML, "damaged"),
    "a web page behind the first bytes of a jpeg": ("image", b"\xff\xd8\xff" + HTML, "damaged"),
    "a web page behind the first bytes of a gif": ("image", b"GIF89a" + HTML, "damaged"),
    "a title without sound": ("voice", b"ID3\x04\0\0\0\0\0\0" + HTML, "damaged"),
    "half a video": ("video", MP4 + b"\0\0\xff\xffmdat" + bytes(100), "damaged"),
    "a video with a web page at its end": ("video", MP4 + HTML, "damaged"),
    "a bomb": ("image", bomb(30_000, 30_000), "too_many_pixels"),
    "a smaller bomb": ("image", bomb(7_070, 7_070), "too_many_pixels"),
    "a bomb of 34 bytes": ("image", gif_bomb(7_070, 7_070), "too_many_pixels"),
    "a long and narrow bomb": ("image", bomb(1, 50_000_000), "too_many_pixels"),
    "a bomb of few pixels": ("image", bomb(70_000, 1), "too_many_pixels"),
}
"""By name: the kind that it claims, the content, and why it is not kept."""
