"""Tokens that many processes share: access token and JS-SDK tickets (``wechat-platform.md`` section 6.5).

A token is replaced before it expires, by one caller, who has claimed that in the store. The others go on
with the old one, or wait for the new one if the old one is dead.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from threading import Lock
from typing import Protocol

from ..errors import APIError, CredentialsRefused, NotConfirmed, NotWhitelisted, Restricted, Unreachable

MARGIN = 300
"""Seconds before its end at which a token is replaced; the old one stays valid so long (section 6.1)."""

LEASE = 30
"""Seconds after which a claim ends by itself, because whoever made it has died."""

PAUSE = 60
"""Seconds for which a refusal that only an operator can cure is not asked for again."""

_LOOK_EVERY = 0.05


@dataclass(frozen=True)
class Token:
    """A token, and when it ends (seconds since 1970)."""

    value: str = field(repr=False)
    expires_at: float


class TokenStore(Protocol):
    """Where the tokens of one account are kept, by kind, for all that share them. Thread-safe."""

    def get(self, kind: str) -> Token | None:
        """What is stored, be it valid or not."""

    def claim(self, kind: str, old: str) -> bool:
        """Whether the caller shall replace the token `old` ("" if none is stored): false if it is no longer
        the stored one, and for `LEASE` seconds after someone else was told so."""

    def settle(self, kind: str, token: Token | None) -> None:
        """End a claim, with the new token, or without where there is none to be had."""


class MemoryTokens:
    """The tokens of one process."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._lock = Lock()
        self._tokens: dict[str, Token] = {}
        self._claimed_until: dict[str, float] = {}

    def get(self, kind: str) -> Token | None:
        return self._tokens.get(kind)

    def claim(self, kind: str, old: str) -> bool:
        with self._lock:
            stored = self._tokens.get(kind)
            if (stored.value if stored else "") != old or self._clock() < self._claimed_until.get(kind, 0):
                return False
            self._claimed_until[kind] = self._clock() + LEASE
            return True

    def settle(self, kind: str, token: Token | None) -> None:
        with self._lock:
            if token:
                self._tokens[kind] = token
            self._claimed_until.pop(kind, None)


@dataclass(frozen=True)
class _Copy:
    """A token as this process knows it, and when it looks for a newer one."""

    token: Token
    due: float


@dataclass(frozen=True)
class _Failure:
    error: APIError
    at: float


class Tokens:
    """Hands out the tokens in `store`; looks into it only when its own copy is due. Thread-safe."""

    def __init__(
        self,
        store: TokenStore,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._store = store
        self._clock = clock
        self._sleep = sleep
        self._copies: dict[str, _Copy] = {}
        self._failures: dict[str, _Failure] = {}

    def get(self, kind: str, fetch: Callable[[], Token], refused: str = "") -> str:
        """A valid token other than `refused`, from `fetch` if it falls to this caller to replace it.

        Raises what `fetch` raises: for `PAUSE` seconds without asking again if only an operator can cure
        it; and Unreachable if whoever is to replace the token does not come back.
        """
        copy = self._copies.get(kind)
        if copy and copy.token.value != refused and self._clock() < copy.due:
            return copy.token.value
        before = self._failures.get(kind)
        for _ in range(round((LEASE + 1) / _LOOK_EVERY)):
            stored = self._store.get(kind)
            valid = (
                stored if stored and stored.value != refused and stored.expires_at > self._clock() else None
            )
            if valid and self._clock() < self._due(kind, valid):
                return valid.value
            failure = self._failures.get(kind)
            failed = failure and (failure is not before or self._is_paused(failure, valid))
            if not failed and self._store.claim(kind, stored.value if stored else ""):
                with suppress(APIError):  # which is a failure that is new
                    return self.replace(kind, fetch)
            elif valid:
                return valid.value
            elif failed and failure:
                raise failure.error.with_traceback(None)
            else:
                self._sleep(_LOOK_EVERY)
        raise Unreachable("no token: another process asks for it and gets no answer", delivered=False)

    def replace(self, kind: str, fetch: Callable[[], Token]) -> str:
        """A token from `fetch`, stored whoever may have claimed to replace the present one."""
        token = None
        try:
            token = fetch()
            self._copies[kind] = self._copy(token)
            self._failures.pop(kind, None)
        except APIError as error:
            self._failures[kind] = _Failure(error, self._clock())
            raise
        finally:
            self._store.settle(kind, token)
        return token.value

    def _due(self, kind: str, stored: Token) -> float:
        copy = self._copies.get(kind)
        if copy is None or copy.token.value != stored.value:
            copy = self._copies[kind] = self._copy(stored)
        return copy.due

    def _copy(self, token: Token) -> _Copy:
        margin = min(MARGIN, (token.expires_at - self._clock()) / 2)
        return _Copy(token, token.expires_at - margin)

    def _is_paused(self, failure: _Failure, valid: Token | None) -> bool:
        """Whether it is too early to try again: without haste, or without hope."""
        hopeless = isinstance(failure.error, NotWhitelisted | CredentialsRefused | NotConfirmed | Restricted)
        return bool(valid or hopeless) and self._clock() < failure.at + PAUSE
