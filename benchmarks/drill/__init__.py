"""``drill``: faults of servers and hosts, and what they cost in messages, answers and failure notices."""

from __future__ import annotations

import asyncio
import os
import re
import sys
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import astuple, dataclass
from functools import partial
from typing import Any

from sqlalchemy import Engine, Row, create_engine, func, select

from wechat_bot.models import Direction, MessageLog, MessageState
from wechat_bot.simulator.flood import Message, Outcome, Result, fetch, flood
from wechat_bot.testing import FakePlatform

from .. import traffic
from ..options import Options
from ..report import Report, table
from ..tools import Missing
from . import faults
from .faults import Fault
from .programs import NotReady
from .sites import CREDENTIALS, Site, on_postgresql, on_sqlite

SITES: tuple[Callable[[], AbstractContextManager[Site]], ...] = (
    on_sqlite,
    partial(on_postgresql, with_redis=True),
    partial(on_postgresql, with_redis=False),
)
LogRow = Row[Direction, str, MessageState]
FOLLOWERS = 1000
SETTLE_SECONDS = 60
"""Seconds after the last push in which interrupted messages are handled again and answers are sent."""
TAPS = 30
UNSETTLED = {MessageState.RECEIVED, MessageState.LATE, MessageState.QUEUED, MessageState.SENDING}
IN_DOUBT = UNSETTLED | {MessageState.UNKNOWN, MessageState.FAILED}


@dataclass(frozen=True, kw_only=True)
class Counts:
    """What became of numbered messages."""

    acknowledged: int
    stored: int
    lost: int
    """Acknowledged, but not stored."""
    doubled: int
    """Stored, answered or sent more than once."""
    answered: int
    """Whose followers saw the right answer, at once or later."""
    notices: int
    """Whose followers saw the failure notice."""
    in_doubt: int
    """Messages without an answer, and parts of answers that were not sent, or perhaps not."""


def run(options: Options) -> Report:
    head = f"{options.numbered:,} messages each, {options.pushes_per_second} a second, all on"
    parts, problems = [f"{head} {os.cpu_count()} shared cores.\n"], []
    for make in SITES:
        found: dict[Fault, Counts] = {}
        try:
            with make() as site:
                parts.append(f"### {site.name}\n")
                for fault, counts in _drill(site, options.numbered, options.pushes_per_second):
                    found[fault] = counts
        except (Missing, NotReady) as error:
            problems.append(str(error))
        left_out = [fault.name for fault in faults.FAULTS if fault not in found]
        parts += [_table(found), f"Left out: {', '.join(left_out) or 'nothing'}.\n"]
        problems += [
            f"{fault.name}: {counts.lost} lost, {counts.doubled} doubled"
            for fault, counts in found.items()
            if counts.lost or counts.doubled
        ]
    return Report("\n".join(parts), problems)


def _drill(site: Site, messages: int, rate: int) -> Iterator[tuple[Fault, Counts]]:
    for number, fault in enumerate(faults.of(site)):
        counts = drill(site, fault, range(number * messages, (number + 1) * messages), rate)
        print(f"{site.name}, {fault.name}: {counts}", file=sys.stderr, flush=True)
        yield fault, counts


def drill(site: Site, fault: Fault, numbers: range, rate: int) -> Counts:
    """Push messages with these numbers, with a fault among them, and count what became of them.

    :raises NotReady: if the programs do not recover.
    """
    fault.before(site)
    asked = [_message(number) for number in numbers]
    engine = create_engine(site.database_url, pool_pre_ping=True)
    with engine.connect() as connection:
        since = connection.scalar(select(func.max(MessageLog.id))) or 0
    results, shown = asyncio.run(_push(site, fault, asked, rate))
    rows = _settled(engine, since, {fields["Content"] for _, fields in asked})
    engine.dispose()
    fault.after(site)
    for program in site.programs:
        program.wait_until_ready()
    return _count(site, results, shown, rows)


def _message(number: int) -> Message:
    """Return the message of a number: of ten, one has a slow handler and one a long answer."""
    kind = {0: "慢", 1: "长"}.get(number % 10, "问")
    return traffic.openid(number % FOLLOWERS), {"Content": f"{kind} {number}"}


def question_of(text: str) -> str:
    """Return the numbered message that a text is, or answers; empty if there is none."""
    found = re.search(r"[慢长问] \d+", text)
    return found[0] if found else ""


async def _push(
    site: Site, fault: Fault, asked: Sequence[Message], rate: int
) -> tuple[list[Result], list[str]]:
    """Return what became of messages, and the replies that followers saw at once or fetched."""
    platform = FakePlatform.at(site.url, CREDENTIALS, api=site.api)

    async def act() -> None:
        await asyncio.sleep(len(asked) / rate / 5)
        await asyncio.to_thread(fault.act, site)

    results, _ = await asyncio.gather(flood(platform, asked, per_second=rate, paced=True), act())
    told = [result for result in results if result.outcome is Outcome.FETCH]
    fetched = await fetch(platform, told, taps=TAPS)
    return results, [result.reply or "" for result in (*results, *fetched)]


def _settled(engine: Engine, since: int, questions: Collection[Any]) -> Sequence[LogRow]:
    """Return direction, text and state of what was stored `since` about `questions`, once all is settled.

    What is not settled after `SETTLE_SECONDS` is returned as it is.
    """
    found = select(MessageLog.direction, MessageLog.text, MessageLog.state).where(MessageLog.id > since)
    deadline = time.monotonic() + SETTLE_SECONDS
    while True:
        with engine.connect() as connection:
            rows: list[LogRow] = [
                row for row in connection.execute(found) if question_of(row.text) in questions
            ]
        if time.monotonic() > deadline or not any(row.state in UNSETTLED for row in rows):
            return rows
        time.sleep(1)


def _count(site: Site, results: Sequence[Result], shown: Sequence[str], rows: Sequence[LogRow]) -> Counts:
    questions = {result.text for result in results}
    acknowledged = {result.text for result in results if result.outcome is not Outcome.NOTICE}
    stored = Counter(row.text for row in rows if row.direction == Direction.IN)
    written = Counter(row.text for row in rows if row.direction == Direction.OUT)
    sent = Counter(message["text"]["content"] for message in site.api.sent)
    ours = Counter({text: count for text, count in sent.items() if question_of(text) in questions})
    answers = {question_of(text) for text in (*shown, *ours) if text.startswith("收到：")}
    return Counts(
        acknowledged=len(acknowledged),
        stored=len(stored),
        lost=len(acknowledged - stored.keys()),
        doubled=sum(counted.total() - len(counted) for counted in (stored, written, ours)),
        answered=len(answers & questions),
        notices=len(questions - acknowledged),
        in_doubt=sum(row.state in IN_DOUBT for row in rows),
    )


def _table(found: Mapping[Fault, Counts]) -> str:
    head = "fault|acknowledged|stored|lost|doubled|answered|failure notices|not sent, or unknown"
    return table(head.split("|"), [[fault.name, *map(str, astuple(c))] for fault, c in found.items()])
