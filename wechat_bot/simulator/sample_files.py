"""Minimal valid media files, for uploads and for messages of simulated followers."""

from __future__ import annotations

import base64
import struct
import zlib


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


PNG = (
    b"\x89PNG\r\n\x1a\n"
    + _chunk(b"IHDR", struct.pack(">2I5B", 1, 1, 8, 2, 0, 0, 0))
    + _chunk(b"IDAT", zlib.compress(b"\0\x07\xc1\x60"))
    + _chunk(b"IEND", b"")
)
"""One green pixel."""

GIF = base64.b64decode("R0lGODlhAQABAIAAAAfBYP///yH5BAAAAAAALAAAAAABAAEAAAICRAEAOw==")
"""One green pixel."""

JPEG = base64.b64decode(
    "/9j/4AAQSkZJRgABAQEASABIAAD/2wBDAP//////////////////////////////////////////////////////////////////////"
    "////////////////wgALCAABAAEBAREA/8QAFBABAAAAAAAAAAAAAAAAAAAAAP/aAAgBAQABPxA="
)
"""One white pixel."""

AMR = b"#!AMR\n" + (b"\x3c" + bytes(31)) * 50
"""One second of silence."""

MP3 = (b"\xff\xfb\x90\x64" + bytes(413)) * 39
"""One second of silence."""

MP4 = struct.pack(">I4s4sI12s", 28, b"ftyp", b"isom", 512, b"isomiso2mp41")
"""The header of a video, without frames."""

_WAV_FORMAT = struct.pack("<IHHIIHH", 16, 1, 1, 8000, 8000, 1, 8)
WAV = b"RIFF\x64\x1f\0\0WAVEfmt " + _WAV_FORMAT + b"data\x40\x1f\0\0" + b"\x80" * 8000
"""One second of silence."""
