"""The first parts of answers that handlers are still writing, for pushes that cannot wait any longer.

What a follower has read of an answer is not said again: the rest becomes its further pages.
"""

from __future__ import annotations

import re
from dataclasses import replace
from threading import Lock

from ...wechat.replies import TextReply
from . import pickup
from .handling import HandlerCall

MIN_CHARACTERS = 20
"""How much of an answer is worth being read by itself."""
_SENTENCE_ENDS = re.compile(r"[。！？；!?;\n][”’」』）)]*|\.(?=\s)")


class FirstParts:
    """The answers that handlers of this process are writing, by the keys of their messages. Thread-safe."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._calls: dict[str, HandlerCall] = {}
        self._shown: dict[str, str] = {}

    def begin(self, call: HandlerCall) -> None:
        """Begin to write the answer to a message."""
        with self._lock:
            self._calls[call.push.key] = call

    def take(self, key: str, *, is_linked: bool) -> tuple[TextReply, str] | None:
        """Return the sentences that are written of the answer to a message, and the answer's origin.

        It counts as read from now on. None if too little is written, or if it has been taken.

        :param is_linked: whether it ends with the link that fetches the rest.
        """
        with self._lock:
            call = self._calls.get(key)
            written = call.ctx.partial() if call and key not in self._shown else None
            if call is None or written is None:
                return None
            link = pickup.rest_link(key) if is_linked else ""
            part = written.split(room=len(link.encode()))[0].content
            end = max((found.end() for found in _SENTENCE_ENDS.finditer(part)), default=0)
            if end < MIN_CHARACTERS:
                return None
            self._shown[key] = part[:end]
            name = call.route.name if call.route else ""
            return replace(written, content=part[:end].rstrip() + link), call.ctx.origin or name

    def end(self, key: str) -> str:
        """End writing an answer, and return what its follower has read of it."""
        with self._lock:
            self._calls.pop(key, None)
            return self._shown.get(key, "")

    def forget(self, key: str) -> None:
        """Forget an answer that has been stored."""
        with self._lock:
            self._shown.pop(key, None)
