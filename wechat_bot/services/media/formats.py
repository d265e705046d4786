"""Detection of file formats by content, and the duration of recordings.

File names and declared content types come from strangers and are not used.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace
from enum import StrEnum


class RefusalReason(StrEnum):
    """Why a file is not stored."""

    EMPTY = "empty"
    FORMAT = "format"
    """Not one of the formats allowed for its kind."""
    DAMAGED = "damaged"
    """Truncated, or invalid after its first bytes."""
    TOO_LARGE = "too_large"
    TOO_MANY_PIXELS = "too_many_pixels"
    TOO_LONG = "too_long"


class RefusedMedia(Exception):
    """A file is refused; nothing of it is stored."""

    def __init__(self, reason: RefusalReason) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True)
class MediaFormat:
    kind: str
    """image, voice or video; "file" for a format that is not shown, but kept for download."""
    content_type: str
    extension: str
    decoder: str
    """Name of the decoder: in Pillow for images, in ffmpeg for audio and video."""
    web_playable: bool = True
    """Whether every browser can show or play it."""


def _download_only(content_type: str, extension: str) -> MediaFormat:
    return MediaFormat("file", content_type, extension, "", web_playable=False)


PNG = MediaFormat("image", "image/png", "png", "PNG")
JPEG = MediaFormat("image", "image/jpeg", "jpg", "JPEG")
GIF = MediaFormat("image", "image/gif", "gif", "GIF")
WEBP = MediaFormat("image", "image/webp", "webp", "WEBP")
AMR = MediaFormat("voice", "audio/amr", "amr", "amr", web_playable=False)
AMR_WB = MediaFormat("voice", "audio/amr-wb", "awb", "amr", web_playable=False)
SPEEX = MediaFormat("voice", "audio/ogg", "spx", "ogg", web_playable=False)
MP3 = MediaFormat("voice", "audio/mpeg", "mp3", "mp3")
MP4 = MediaFormat("video", "video/mp4", "mp4", "mov")
BMP = replace(_download_only("image/bmp", "bmp"), decoder="BMP")
HEIC = _download_only("image/heic", "heic")
WAV = _download_only("audio/wav", "wav")
MOV = _download_only("video/quicktime", "mov")
DOC = _download_only("application/msword", "doc")
OTHER = _download_only("application/octet-stream", "bin")
"""Any other format, such as raw Speex, which has no signature."""

_SHOWN = (PNG, JPEG, GIF, WEBP, AMR, AMR_WB, SPEEX, MP3, MP4)
FORMATS = {format_.content_type: format_ for format_ in (*_SHOWN, BMP, HEIC, WAV, MOV, DOC, OTHER)}
"""Formats that are stored, by content type. No other content type is ever sent to a browser."""

_SIGNATURES = {
    re.compile(rb"\x89PNG\r\n\x1a\n"): PNG,
    re.compile(rb"\xff\xd8\xff"): JPEG,
    re.compile(rb"GIF8[79]a"): GIF,
    re.compile(rb"RIFF....WEBP", re.DOTALL): WEBP,
    re.compile(rb"#!AMR\n"): AMR,
    re.compile(rb"#!AMR-WB\n"): AMR_WB,
    re.compile(rb"OggS.{24}Speex   ", re.DOTALL): SPEEX,
    re.compile(rb"ID3|\xff[\xe2\xe3\xf2\xf3\xfa\xfb]"): MP3,
    re.compile(rb"....ftyp(iso[2-9m]|mp4[12]|avc1|M4V.|MSNV|3gp.|dash)", re.DOTALL): MP4,
    re.compile(rb"....ftypqt  ", re.DOTALL): MOV,
    re.compile(rb"....ftyp(hei[cmsx]|hev[cmsx]|mif1|msf1)", re.DOTALL): HEIC,
    re.compile(rb"RIFF....WAVE", re.DOTALL): WAV,
    re.compile(rb"BM.{4}\0{4}", re.DOTALL): BMP,
    re.compile(rb"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"): DOC,
}


def detect(content: bytes) -> MediaFormat:
    """Return the format that the first bytes of a file have."""
    return next((format_ for pattern, format_ in _SIGNATURES.items() if pattern.match(content)), OTHER)


def identify(kind: str, content: bytes, max_bytes: int) -> MediaFormat:
    """Return the format of `content` if `kind` (image, thumb, voice or video) allows it.

    Pictures are decoded only when their thumbnail is made, which detects damaged ones.

    :raises RefusedMedia: if the file is empty, too large, damaged or of another format.
    """
    if not content:
        raise RefusedMedia(RefusalReason.EMPTY)
    if len(content) > max_bytes:
        raise RefusedMedia(RefusalReason.TOO_LARGE)
    found = detect(content)
    if found.kind != ("image" if kind == "thumb" else kind):
        raise RefusedMedia(RefusalReason.FORMAT)
    if (found is MP3 and not duration(content, MP3)) or (found is MP4 and not _is_complete(content)):
        raise RefusedMedia(RefusalReason.DAMAGED)
    return found


def identify_received(kind: str, content: bytes, max_bytes: int) -> MediaFormat:
    """Return the format of a follower's file, which is kept for download if `kind` does not allow it.

    :raises RefusedMedia: if the file is empty, too large or damaged.
    """
    try:
        return identify(kind, content, max_bytes)
    except RefusedMedia as refused:
        if refused.reason is not RefusalReason.FORMAT:
            raise
    found = detect(content)
    return found if found.kind == "file" else OTHER


def duration(content: bytes, format_: MediaFormat) -> float:
    """Return the duration of an AMR or MP3 file in seconds."""
    return _mp3_seconds(content) if format_ is MP3 else _amr_seconds(content)


def seconds(content: bytes, format_: MediaFormat) -> int:
    """Return the duration of an AMR or MP3 file in whole seconds, rounded up; 0 for other files."""
    return math.ceil(duration(content, format_)) if format_ in {AMR, MP3} else 0


_AMR_FRAME_SIZES = (12, 13, 15, 17, 19, 20, 26, 31, 5, 0, 0, 0, 0, 0, 0, 0)
"""Number of bytes after the first byte of a frame of 20 ms, by the mode in that byte (RFC 4867)."""


def _amr_seconds(content: bytes) -> float:
    at, frames = len(b"#!AMR\n"), 0
    while at < len(content):
        at += 1 + _AMR_FRAME_SIZES[content[at] >> 3 & 15]
        frames += 1
    return frames / 50


_MP3_FRAME = re.compile(rb"\xff[\xe2\xe3\xf2\xf3\xfa\xfb][\x10-\xef]")
"""Header of an MP3 frame: sync word and MPEG version, then bitrate, sampling rate and padding."""
_KBIT_RATES = {
    2: (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    1: (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
}
"""Bitrates of layer III in kbit/s, by MPEG version."""
_SAMPLING_RATES = (44100, 48000, 32000)
_SAMPLING_RATE_SHIFT = {3: 0, 2: 1, 0: 2}
"""Number of times the sampling rates are halved, by the version bits of MPEG 1, 2 and 2.5."""


def _mp3_seconds(content: bytes) -> float:
    at, total = 0, 0.0
    if content.startswith(b"ID3"):
        at = 10 + sum(byte << shift for byte, shift in zip(content[6:10], (21, 14, 7, 0), strict=False))
    while frame := _MP3_FRAME.search(content, at):
        at = frame.start() + 1
        version, bits = content[at] >> 3 & 3, content[at + 1]
        if bits >> 2 & 3 == 3:  # reserved sampling rate: not a frame
            continue
        hertz = _SAMPLING_RATES[bits >> 2 & 3] >> _SAMPLING_RATE_SHIFT[version]
        samples = 1152 if version == 3 else 576
        kbits = _KBIT_RATES[1 if version == 3 else 2][(bits >> 4) - 1]
        at = frame.start() + samples // 8 * kbits * 1000 // hertz + (bits >> 1 & 1)
        total += samples / hertz
    return total


def _is_complete(content: bytes) -> bool:
    """Whether the boxes of an MP4 file end exactly where the file ends."""
    at = 0
    while at + 8 <= len(content):
        size = int.from_bytes(content[at : at + 4])
        if size == 0:  # the box extends to the end of the file
            return True
        if size == 1:
            size = int.from_bytes(content[at + 8 : at + 16])
        if size < 8:
            return False
        at += size
    return at == len(content)
