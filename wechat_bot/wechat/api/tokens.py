"""Sharing of access tokens and JS-SDK tickets between processes (``wechat-platform.md`` section 6.5).

A token is renewed before it expires, by one caller, which claims the renewal in the store. The others use the
old token meanwhile, or wait for the new one if the old one is invalid.
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
"""Seconds before its expiry at which a token is renewed; the old one stays valid this long (section 6.1)."""

LEASE = 5
"""Seconds after which a claim expires, since its process may have stalled or died.

A renewal may take longer. Then two callers renew the token, and the tokens of both are valid (section 6.1).
"""
_MAX_WAIT = 3 * LEASE
"""Seconds for which a caller without a valid token waits for the renewals of others."""

PAUSE = 60
"""Seconds to wait after a failed renewal before the next attempt, if the old token is still valid or only an
operator can resolve the failure."""

_POLL_INTERVAL = 0.05
"""Seconds between two reads of the store while another caller renews the token."""


@dataclass(frozen=True)
class Token:
    """A token and its expiry time (Unix time in seconds)."""

    value: str = field(repr=False)
    expires_at: float


class TokenStore(Protocol):
    """Storage for the tokens of one account, by kind. Implementations are thread-safe."""

    def get(self, kind: str) -> Token | None:
        """Return the stored token, which may have expired, or None."""

    def claim(self, kind: str, old: str) -> bool:
        """Claim the renewal of the token `old` ("" if none is stored). Return whether the claim succeeded.

        It fails if `old` is no longer the stored token, or while the claim of another caller is valid, which
        is at most `LEASE` seconds.
        """

    def release(self, kind: str, token: Token | None) -> None:
        """End a claim, and store the new `token` unless it is None because the renewal failed."""


class MemoryTokens:
    """A `TokenStore` in memory, for a single process."""

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

    def release(self, kind: str, token: Token | None) -> None:
        with self._lock:
            if token:
                self._tokens[kind] = token
            self._claimed_until.pop(kind, None)


@dataclass(frozen=True)
class _Copy:
    """This process's copy of a token, and when to renew it or read the store again (Unix time)."""

    token: Token
    due: float


@dataclass(frozen=True)
class _Failure:
    error: APIError
    at: float


class Tokens:
    """Returns valid tokens and renews them. Reads `store` only when its own copy is due. Thread-safe."""

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
        """Return a valid token other than `refused`, from `fetch` if this caller claims the renewal.

        :raises APIError: if `fetch` fails. For `PAUSE` seconds, the same error is raised again without
            calling `fetch`, if only an operator can resolve it.
        :raises Unreachable: if another caller claimed the renewal and did not finish it.
        """
        copy = self._copies.get(kind)
        if copy and copy.token.value != refused and self._clock() < copy.due:
            return copy.token.value
        earlier = self._failures.get(kind)
        for _ in range(round(_MAX_WAIT / _POLL_INTERVAL)):
            stored = self._store.get(kind)
            valid = (
                stored if stored and stored.value != refused and stored.expires_at > self._clock() else None
            )
            if valid and self._clock() < self._due(kind, valid):
                return valid.value
            failure = self._failures.get(kind)
            failed = failure and (failure is not earlier or self._is_paused(failure, valid))
            if not failed and self._store.claim(kind, stored.value if stored else ""):
                with suppress(APIError):  # it is recorded as a new failure for the next iteration
                    return self.replace(kind, fetch)
            elif valid:
                return valid.value
            elif failed and failure:
                raise failure.error.with_traceback(None)
            else:
                self._sleep(_POLL_INTERVAL)
        raise Unreachable("no token: another process asks for it and gets no answer", delivered=False)

    def replace(self, kind: str, fetch: Callable[[], Token]) -> str:
        """Return a token from `fetch` and store it, even if another caller has claimed the renewal."""
        token = None
        try:
            token = fetch()
            self._copies[kind] = self._copy(token)
            self._failures.pop(kind, None)
        except APIError as error:
            self._failures[kind] = _Failure(error, self._clock())
            raise
        finally:
            self._store.release(kind, token)
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
        """Whether it is too early for another attempt that is not urgent or cannot succeed yet."""
        permanent = isinstance(failure.error, NotWhitelisted | CredentialsRefused | NotConfirmed | Restricted)
        return bool(valid or permanent) and self._clock() < failure.at + PAUSE
