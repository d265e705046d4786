"""Conversion of audio and video files of followers with ffmpeg."""

from __future__ import annotations

import logging
import shutil
import subprocess
import tempfile

from .pictures import MAX_PIXELS, decoding_lock

log = logging.getLogger(__name__)

TIMEOUT = 60
"""Seconds after which a conversion is terminated."""
_RUN_LIMITED = 'ulimit -t 60; ulimit -v 2000000; exec "$0" "$@"'
"""Runs ffmpeg with limits of CPU time (seconds) and memory (KB).

A shell sets them, since `preexec_fn` of `subprocess` is not safe in a process with threads.
"""


class Converter:
    """Converts media to formats that browsers play. Without ffmpeg, all results are empty.

    ffmpeg may not use the network, decodes only the format that was detected, and runs with limits of time
    and memory.

    :param program: path of ffmpeg, or None if it is not installed.
    """

    def __init__(self, program: str | None) -> None:
        self._program = program

    @classmethod
    def detect(cls) -> Converter:
        """Return a converter that uses the ffmpeg on the search path, if any."""
        return cls(shutil.which("ffmpeg"))

    @property
    def is_available(self) -> bool:
        return self._program is not None

    def mp3(self, content: bytes, decoder: str) -> bytes:
        """Return speech as MP3, or nothing if that fails. Voices last at most 60 s (section 3.4)."""
        options = ("-map", "0:a:0", "-t", "120", "-ac", "1", "-b:a", "48k", "-f", "mp3")
        return self._run(content, decoder, *options)

    def poster(self, content: bytes, decoder: str) -> bytes:
        """Return a frame of a video as PNG, or nothing if it has none that can be decoded."""
        options = ("-map", "0:v:0", "-frames:v", "1", "-c:v", "png", "-f", "image2pipe")
        with decoding_lock:
            return self._run(content, decoder, *options)

    def _run(self, content: bytes, decoder: str, *output: str) -> bytes:
        if self._program is None:
            return b""
        with tempfile.NamedTemporaryFile() as file:
            file.write(content)
            file.flush()
            options = ("-nostdin", "-v", "error", "-protocol_whitelist", "file,pipe", "-threads", "1")
            source = ("-max_pixels", str(MAX_PIXELS), "-f", decoder, "-i", f"file:{file.name}")
            command = ["/bin/sh", "-c", _RUN_LIMITED, self._program, *options, *source, *output, "pipe:1"]
            try:
                result = subprocess.run(command, capture_output=True, timeout=TIMEOUT, env={}, check=False)  # noqa: S603
            except subprocess.TimeoutExpired:
                log.warning("ffmpeg did not finish a file within %d seconds", TIMEOUT)
                return b""
        if result.returncode:
            text = "ffmpeg cannot convert a file of %d bytes: status %d"
            log.warning(text, len(content), result.returncode)
            return b""
        return result.stdout
