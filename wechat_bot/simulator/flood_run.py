"""A flood of questions that can be watched while it runs: its plan and its results are in a file.

All processes of the server share the file. The flood runs in a thread of the process that started it.
"""

from __future__ import annotations

import asyncio
import fcntl
import itertools
import json
import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from .flood import Message, Outcome, Result, flood
from .openids import new_openid
from .platform import SimulatedPlatform

log = logging.getLogger(__name__)

MAX_FOLLOWERS = 4000
MAX_PER_SECOND = 20
MAX_CHARACTERS = 600
MAX_SECONDS = 60
"""Seconds after which a flood is stopped."""
DEAD_SECONDS = MAX_SECONDS + 10
"""Seconds after which a flood without an end counts as interrupted by the end of its process."""
STOP_INTERVAL = 0.2
"""Seconds between two looks at whether the flood is to be stopped."""


class FloodRunning(Exception):
    """Another flood has not ended yet."""


@dataclass(frozen=True)
class FloodPlan:
    """What is sent: `followers` send `text` at once, and beside them others send ordinary messages.

    :raises ValueError: if a number or the length of the text is out of bounds.
    """

    followers: int
    text: str
    per_second: int = 5
    """Ordinary messages per second, until all of `followers` have their answers."""
    ordinary_text: str = "帮助"

    def __post_init__(self) -> None:
        if not 1 <= self.followers <= MAX_FOLLOWERS:
            raise ValueError(f"followers must be between 1 and {MAX_FOLLOWERS}")
        if not 0 <= self.per_second <= MAX_PER_SECOND:
            raise ValueError(f"ordinary messages per second must be between 0 and {MAX_PER_SECOND}")
        if not 1 <= len(self.text.strip()) <= MAX_CHARACTERS:
            raise ValueError(f"the text must have between 1 and {MAX_CHARACTERS} characters")


@dataclass(frozen=True)
class FloodRun:
    """A flood, and its results so far."""

    plan: FloodPlan
    began: float
    """In Unix time."""
    questions: Sequence[Result] = ()
    ordinary: Sequence[Result] = ()
    seconds: float | None = None
    """How long it took. None if it has no end yet."""

    @property
    def is_running(self) -> bool:
        return self.seconds is None and time.time() - self.began < DEAD_SECONDS


class FloodFile:
    """The latest flood, of which the file is in `folder`. One runs at a time."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._results = folder / "flood.jsonl"
        self._stop = folder / "flood.stop"

    def start(self, platform: SimulatedPlatform, plan: FloodPlan) -> None:
        """Start a flood, and forget the one before.

        :raises FloodRunning: if that one has not ended yet.
        """
        with self._locked():
            latest = self.read()
            if latest and latest.is_running:
                raise FloodRunning
            self._stop.unlink(missing_ok=True)
            began = time.time()
            self._results.write_text(_line({"plan": asdict(plan), "began": began}))
        run = self._run(platform, plan, began)
        threading.Thread(target=asyncio.run, args=(run,), name="flood", daemon=True).start()

    def stop(self) -> None:
        """Stop the flood that runs, in whichever process. Those who still wait get no result."""
        self._stop.touch()

    def clear(self) -> None:
        """Stop the flood that runs, and forget it."""
        self._folder.mkdir(parents=True, exist_ok=True)
        self.stop()
        self._results.unlink(missing_ok=True)

    def read(self) -> FloodRun | None:
        """Return the latest flood with its results so far, or None if there was none."""
        try:
            text = self._results.read_text()
        except FileNotFoundError:
            return None
        whole_lines = text[: text.rfind("\n") + 1].splitlines()
        if not whole_lines:
            return None
        head, *rest = json.loads(f"[{','.join(whole_lines)}]")
        found: dict[str, list[Any]] = {"question": [], "ordinary": [], "seconds": []}
        for kind, value in rest:
            found[kind].append(value)
        return FloodRun(
            FloodPlan(**head["plan"]),
            head["began"],
            [_load(each) for each in found["question"]],
            [_load(each) for each in found["ordinary"]],
            next(iter(found["seconds"]), None),
        )

    @contextmanager
    def _locked(self) -> Iterator[None]:
        self._folder.mkdir(parents=True, exist_ok=True)
        with (self._folder / "flood.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    async def _run(self, platform: SimulatedPlatform, plan: FloodPlan, began: float) -> None:
        with self._results.open("a", buffering=1) as file:

            def note(kind: str, result: Result) -> None:
                file.write(_line([kind, asdict(replace(result, reply=None))]))

            pushing = asyncio.create_task(_push(platform, plan, note))
            while not pushing.done():
                await asyncio.wait([pushing], timeout=STOP_INTERVAL)
                if self._stop.exists() or time.time() - began > MAX_SECONDS:
                    break
            pushing.cancel()
            (error,) = await asyncio.gather(pushing, return_exceptions=True)
            if isinstance(error, Exception):
                log.error("the flood failed", exc_info=error)
            file.write(_line(["seconds", time.time() - began]))


async def _push(platform: SimulatedPlatform, plan: FloodPlan, note: Callable[[str, Result], None]) -> None:
    """Push the questions at once, and ordinary messages until all questions have a result."""
    async with asyncio.TaskGroup() as group:
        questions = _messages(plan.text, plan.followers)
        asking = group.create_task(flood(platform, questions, on_result=partial(note, "question")))
        if plan.per_second:
            ordinary = itertools.takewhile(lambda _: not asking.done(), _messages(plan.ordinary_text))
            group.create_task(
                flood(platform, ordinary, per_second=plan.per_second, on_result=partial(note, "ordinary"))
            )


def _messages(text: str, count: int | None = None) -> Iterator[Message]:
    """Yield the same text from `count` followers, or from followers without end."""
    numbers = itertools.count() if count is None else range(count)
    return ((new_openid(), {"Content": text}) for _ in numbers)


def _line(value: Any) -> str:
    return json.dumps(value) + "\n"


def _load(value: dict[str, Any]) -> Result:
    return Result(**{**value, "outcome": Outcome(value["outcome"])})
