"""How a push reaches the bot: over HTTP, in a thread, recorded step by step."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from ..wechat import xml
from ..wechat.credentials import Credentials
from .api import FakeAPI
from .journal import Choices, DeliveryScenario, Journal, JournalEntry, PushFault
from .platform import Attempt, Request, SimulatedPlatform

QUICK_SECONDS = 0.5
"""So long a browser is kept waiting, which shows most answers at once."""
OLD_SECONDS = 600
"""By so much a time stamp is old that should be refused."""
BIG = "长" * 400_000
"""1.2 MB, more than the platform ever sends."""
OTHER_TOKEN = "someOtherToken"
OTHER_KEY = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQ"


def faulty_platform(url: str, credentials: Credentials, choices: Choices, api: FakeAPI) -> SimulatedPlatform:
    """A platform that makes the mistake in `choices`, and whose `api` hears of what followers do."""
    clock = time.time
    if choices.fault is PushFault.SIGNATURE:
        credentials = replace(credentials, tokens=(OTHER_TOKEN,))
    if choices.fault is PushFault.KEY and credentials.aes_keys:
        credentials = replace(credentials, aes_keys=(OTHER_KEY,))
    if choices.fault is PushFault.TIMESTAMP:

        def clock() -> float:
            return time.time() - OLD_SECONDS

    return SimulatedPlatform.at(url, credentials, clock=clock, api=api)


class PushDelivery:
    """Delivers what `begin` and `repeat` make, and keeps the journal of it."""

    def __init__(self, journal: Journal, url: str, platform: SimulatedPlatform, choices: Choices) -> None:
        self._journal = journal
        self._url = url
        self.platform = platform
        self._choices = choices

    def begin(self, fields: xml.Fields) -> JournalEntry:
        """Push a message."""
        if self._choices.fault is PushFault.SIZE:
            fields = {**fields, "Padding": BIG}
        return self.repeat(str(fields["FromUserName"]), self.platform.request(fields))

    def repeat(self, openid: str, request: Request) -> JournalEntry:
        """Push what may have been pushed before, byte by byte."""
        exchange = self._journal.begin(
            JournalEntry(openid, self._url, self.platform.credentials.mode, request, self._choices)
        )
        if not exchange.held:
            thread = threading.Thread(target=self._deliver, args=(exchange,), daemon=True)
            thread.start()
            thread.join(QUICK_SECONDS)
        return exchange

    def _deliver(self, exchange: JournalEntry) -> None:
        for attempt in self._attempts(exchange):
            exchange = replace(exchange, attempts=[*exchange.attempts, attempt])
            self._journal.update(exchange)
        self._journal.update(replace(exchange, ended=True))
        for held in self._journal.take_held(exchange.openid):
            self._deliver(held)

    def _attempts(self, exchange: JournalEntry) -> Iterator[Attempt]:
        platform, request = self.platform, exchange.request
        match exchange.choices.course:
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
