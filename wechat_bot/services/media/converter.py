"""Sound and videos of strangers, through ffmpeg."""

from __future__ import annotations

import logging
import shutil
import subprocess
import tempfile

log = logging.getLogger(__name__)

SECONDS = 60
"""After which a conversion is given up."""
_LIMITED = 'ulimit -t 60; ulimit -v 2000000; exec "$0" "$@"'
"""Seconds of work and KB of memory; a shell sets them, as Python cannot where there are threads."""


class Converter:
    """Makes what browsers play and show; without ffmpeg, nothing.

    ffmpeg opens no network, looks for no other format than the one that was found, and has bounds of time
    and memory.
    """

    def __init__(self, program: str | None) -> None:
        self._program = program

    @classmethod
    def of_this_machine(cls) -> Converter:
        return cls(shutil.which("ffmpeg"))

    @property
    def is_there(self) -> bool:
        return self._program is not None

    def mp3(self, content: bytes, decoder: str) -> bytes:
        """Speech as MP3; empty if that cannot be done. Voices are at most 60 s long (section 3.4)."""
        return self._run(
            content, decoder, "-map", "0:a:0", "-t", "120", "-ac", "1", "-b:a", "48k", "-f", "mp3"
        )

    def poster(self, content: bytes, decoder: str) -> bytes:
        """A frame of a video as PNG; empty if that cannot be done."""
        return self._run(
            content, decoder, "-map", "0:v:0", "-frames:v", "1", "-c:v", "png", "-f", "image2pipe"
        )

    def _run(self, content: bytes, decoder: str, *output: str) -> bytes:
        if self._program is None:
            return b""
        with tempfile.NamedTemporaryFile() as file:
            file.write(content)
            file.flush()
            options = ("-nostdin", "-v", "error", "-protocol_whitelist", "file,pipe", "-threads", "1")
            source = ("-max_pixels", "50000000", "-f", decoder, "-i", f"file:{file.name}")
            command = ["/bin/sh", "-c", _LIMITED, self._program, *options, *source, *output, "pipe:1"]
            try:
                done = subprocess.run(command, capture_output=True, timeout=SECONDS, env={}, check=False)  # noqa: S603
            except subprocess.TimeoutExpired:
                log.warning("ffmpeg did not finish a file within %d seconds", SECONDS)
                return b""
        if done.returncode:
            log.warning("ffmpeg cannot convert a file of %d bytes: status %d", len(content), done.returncode)
            return b""
        return done.stdout
