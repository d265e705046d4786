"""What a file is. Its content says so; names and content types are what strangers say."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum


class RefusalReason(StrEnum):
    """Why a file is not kept."""

    EMPTY = "empty"
    FORMAT = "format"
    """Not of a format that its kind may have."""
    DAMAGED = "damaged"
    """Cut off, or nonsense after its first bytes."""
    TOO_LARGE = "too_large"
    TOO_MANY_PIXELS = "too_many_pixels"
    TOO_LONG = "too_long"


class RefusedMedia(Exception):
    """A file that is not kept, and nothing of it."""

    def __init__(self, reason: RefusalReason) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True)
class MediaFormat:
    kind: str
    content_type: str
    extension: str
    decoder: str
    """Its name in Pillow, of sound and video that in ffmpeg."""
    for_browsers: bool = True
    """Whether every browser shows or plays it."""


PNG = MediaFormat("image", "image/png", "png", "PNG")
JPEG = MediaFormat("image", "image/jpeg", "jpg", "JPEG")
GIF = MediaFormat("image", "image/gif", "gif", "GIF")
WEBP = MediaFormat("image", "image/webp", "webp", "WEBP")
AMR = MediaFormat("voice", "audio/amr", "amr", "amr", for_browsers=False)
AMR_WB = MediaFormat("voice", "audio/amr-wb", "awb", "amr", for_browsers=False)
SPEEX = MediaFormat("voice", "audio/ogg", "spx", "ogg", for_browsers=False)
MP3 = MediaFormat("voice", "audio/mpeg", "mp3", "mp3")
MP4 = MediaFormat("video", "video/mp4", "mp4", "mov")

FORMATS = {each.content_type: each for each in (PNG, JPEG, GIF, WEBP, AMR, AMR_WB, SPEEX, MP3, MP4)}
"""All that is kept, by content type. No other is ever told to a browser."""

_BEGINNINGS = {
    re.compile(rb"\x89PNG\r\n\x1a\n"): PNG,
    re.compile(rb"\xff\xd8\xff"): JPEG,
    re.compile(rb"GIF8[79]a"): GIF,
    re.compile(rb"RIFF....WEBP", re.DOTALL): WEBP,
    re.compile(rb"#!AMR\n"): AMR,
    re.compile(rb"#!AMR-WB\n"): AMR_WB,
    re.compile(rb"OggS.{24}Speex   ", re.DOTALL): SPEEX,
    re.compile(rb"ID3|\xff[\xe2\xe3\xf2\xf3\xfa\xfb]"): MP3,
    # Pictures of the same family, such as HEIC, have other brands.
    re.compile(rb"....ftyp(iso[2-9m]|mp4[12]|avc1|M4V.|MSNV|3gp.|dash)", re.DOTALL): MP4,
}


def check(kind: str, content: bytes, max_bytes: int) -> MediaFormat:
    """The format of an image, thumb, voice or video; RefusedMedia.

    Whether the inside of a picture is sound shows when its thumbnail is made.
    """
    if not content:
        raise RefusedMedia(RefusalReason.EMPTY)
    if len(content) > max_bytes:
        raise RefusedMedia(RefusalReason.TOO_LARGE)
    found = next((each for start, each in _BEGINNINGS.items() if start.match(content)), None)
    if found is None or found.kind != ("image" if kind == "thumb" else kind):
        raise RefusedMedia(RefusalReason.FORMAT)
    if (found is MP3 and not seconds(content, MP3)) or (found is MP4 and not _is_whole(content)):
        raise RefusedMedia(RefusalReason.DAMAGED)
    return found


def seconds(content: bytes, format_: MediaFormat) -> float:
    """How long an AMR or MP3 file is."""
    return _mp3_seconds(content) if format_ is MP3 else _amr_seconds(content)


_AMR_FRAMES = (12, 13, 15, 17, 19, 20, 26, 31, 5, 0, 0, 0, 0, 0, 0, 0)
"""Bytes after the first of a frame of 20 ms, by the mode in the first (RFC 4867)."""


def _amr_seconds(content: bytes) -> float:
    at, frames = len(b"#!AMR\n"), 0
    while at < len(content):
        at += 1 + _AMR_FRAMES[content[at] >> 3 & 15]
        frames += 1
    return frames / 50


_FRAME = re.compile(rb"\xff[\xe2\xe3\xf2\xf3\xfa\xfb][\x10-\xef]")
"""How a frame of MP3 begins: sync word with version, then bitrate, sampling rate and padding."""
_KBITS = {
    2: (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    1: (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
}
_HERTZ = (44100, 48000, 32000)
_HALVED = {3: 0, 2: 1, 0: 2}
"""How often the sampling rates are halved: MPEG 1, 2 and 2.5."""


def _mp3_seconds(content: bytes) -> float:
    at, total = 0, 0.0
    if content.startswith(b"ID3"):
        at = 10 + sum(byte << shift for byte, shift in zip(content[6:10], (21, 14, 7, 0), strict=False))
    while frame := _FRAME.search(content, at):
        at = frame.start() + 1
        version, bits = content[at] >> 3 & 3, content[at + 1]
        if bits >> 2 & 3 == 3:  # no sampling rate: these bytes begin no frame
            continue
        hertz = _HERTZ[bits >> 2 & 3] >> _HALVED[version]
        samples = 1152 if version == 3 else 576
        kbits = _KBITS[1 if version == 3 else 2][(bits >> 4) - 1]
        at = frame.start() + samples // 8 * kbits * 1000 // hertz + (bits >> 1 & 1)
        total += samples / hertz
    return total


def _is_whole(content: bytes) -> bool:
    """Whether the boxes of an MP4 file end where the file does."""
    at = 0
    while at + 8 <= len(content):
        size = int.from_bytes(content[at : at + 4])
        if size == 0:  # as long as the file
            return True
        if size == 1:
            size = int.from_bytes(content[at + 8 : at + 16])
        if size < 8:
            return False
        at += size
    return at == len(content)
