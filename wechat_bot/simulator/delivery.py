"""Delivery of the simulator's pushes to the bot: over HTTP, in a thread, recorded in the journal."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from ..wechat import xml
from ..wechat.credentials import Credentials
from .api import SimulatedAPI
from .journal import DeliveryOptions, DeliveryScenario, Journal, JournalEntry, PushFault
from .platform import Attempt, Request, SimulatedPlatform

INLINE_WAIT_SECONDS = 0.5
"""Seconds that a browser waits for the answer, so that most answers are shown at once."""
STALE_SECONDS = 600
"""Age of a timestamp that the bot must refuse, in seconds."""
OVERSIZED_TEXT = "长" * 400_000
"""1.2 MB, more than the platform ever sends."""
WRONG_TOKEN = "someOtherToken"
WRONG_KEY = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQ"


def faulty_platform(
    url: str, credentials: Credentials, options: DeliveryOptions, api: SimulatedAPI
) -> SimulatedPlatform:
    """Return a platform that pushes to `url` with the fault of `options`. `api` records actions."""
    clock = time.time
    if options.fault is PushFault.SIGNATURE:
        credentials = replace(credentials, tokens=(WRONG_TOKEN,))
    if options.fault is PushFault.KEY and credentials.aes_keys:
        credentials = replace(credentials, aes_keys=(WRONG_KEY,))
    if options.fault is PushFault.TIMESTAMP:

        def clock() -> float:
            return time.time() - STALE_SECONDS

    return SimulatedPlatform.at(url, credentials, clock=clock, api=api)


class PushDelivery:
    """Delivers pushes with the given options, and records them in the journal."""

    def __init__(
        self, journal: Journal, url: str, platform: SimulatedPlatform, options: DeliveryOptions
    ) -> None:
        self._journal = journal
        self._url = url
        self.platform = platform
        self._options = options

    def push(self, fields: xml.Fields) -> JournalEntry:
        """Push a new message, and return the exchange as it began."""
        if self._options.fault is PushFault.SIZE:
            fields = {**fields, "Padding": OVERSIZED_TEXT}
        return self.deliver(str(fields["FromUserName"]), self.platform.request(fields))

    def deliver(self, openid: str, request: Request) -> JournalEntry:
        """Push a request, which may have been pushed before, and return the exchange as it began."""
        exchange = self._journal.add(
            JournalEntry(openid, self._url, self.platform.credentials.mode, request, self._options)
        )
        if not exchange.is_held:
            thread = threading.Thread(target=self._deliver, args=(exchange,), daemon=True)
            thread.start()
            thread.join(INLINE_WAIT_SECONDS)
        return exchange

    def _deliver(self, exchange: JournalEntry) -> None:
        for attempt in self._attempts(exchange):
            exchange = replace(exchange, attempts=[*exchange.attempts, attempt])
            self._journal.update(exchange)
        self._journal.update(replace(exchange, ended=True))
        for held in self._journal.release_held(exchange.openid):
            self._deliver(held)

    def _attempts(self, exchange: JournalEntry) -> Iterator[Attempt]:
        platform, request = self.platform, exchange.request
        match exchange.options.scenario:
            case DeliveryScenario.LOST:
                yield from platform.attempts(request, lost=platform.pushes - 1)
            case DeliveryScenario.PARALLEL:
                with ThreadPoolExecutor(platform.pushes) as pool:
                    yield from pool.map(platform.attempt, [request] * platform.pushes)
            case DeliveryScenario.DUPLICATE:
                yield from platform.attempts(request)
                yield platform.attempt(request)
            case _:
                yield from platform.attempts(request)
