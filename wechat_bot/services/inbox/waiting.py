"""Pushes that wait for an answer: bounded in number, and woken when the answer is stored."""

from __future__ import annotations

from threading import Event, Lock


class _WaitingMessage:
    """A message of which pushes wait here."""

    def __init__(self) -> None:
        self.pushes = 0
        self.finished = Event()


class WaitingPushes:
    """The pushes that wait in this process, at most for `limit` messages at once. Thread-safe.

    A push that waits costs its thread and nothing else, so the limit keeps threads free for other pushes.
    It counts messages: of one message, two pushes wait at the moment when the platform gives up the first.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._messages: dict[str, _WaitingMessage] = {}
        self._lock = Lock()

    def __len__(self) -> int:
        return len(self._messages)

    def admit(self, key: str) -> bool:
        """Let a push wait for the message `key`; False if too many messages are waited for.

        Every push that was admitted leaves with `dismiss`.
        """
        with self._lock:
            message = self._messages.get(key)
            if message is None:
                if len(self._messages) >= self.limit:
                    return False
                message = self._messages[key] = _WaitingMessage()
            message.pushes += 1
            return True

    def waits_for(self, key: str) -> bool:
        """Whether a push waits for the message `key`."""
        return key in self._messages

    def dismiss(self, key: str) -> None:
        with self._lock:
            message = self._messages[key]
            message.pushes -= 1
            if not message.pushes:
                del self._messages[key]

    def wait(self, key: str, seconds: float) -> bool:
        """Wait until the message `key` is finished, or for so many seconds; return whether it is."""
        return self._messages[key].finished.wait(seconds)

    def wake(self, key: str) -> None:
        """Let the pushes go on that wait for the message `key`, which is finished."""
        with self._lock:
            if message := self._messages.get(key):
                message.finished.set()

    def keys(self) -> list[str]:
        """Return the keys of the messages that are waited for."""
        with self._lock:
            return list(self._messages)
