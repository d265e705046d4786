"""Reads the bodies of requests, which strangers may send slowly or never to the end."""

from __future__ import annotations

import io
from threading import Semaphore
from typing import IO, TYPE_CHECKING

from werkzeug.exceptions import ServiceUnavailable

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer


class RequestBody(io.RawIOBase):
    """The body of a request. `places` bounds the number of bodies whose bytes are waited for at once.

    A thread that waits is lost to other requests until `idle_connections` closes the connection.
    """

    def __init__(self, stream: IO[bytes], places: Semaphore) -> None:
        self._stream = stream
        self._places = places

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        """Read into `buffer`, and return the number of bytes.

        :raises ServiceUnavailable: if too many clients are waited for.
        """
        if not self._places.acquire(blocking=False):
            raise ServiceUnavailable
        try:
            view = memoryview(buffer)
            chunk = self._stream.read(len(view))
        finally:
            self._places.release()
        view[: len(chunk)] = chunk
        return len(chunk)
