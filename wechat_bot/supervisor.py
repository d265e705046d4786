"""Keeps the processes of the program running: starts them again when they die, replaces them, and stops them.

Each process is spawned: it shares no thread or connection with others, and loads the code that is on disk.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from math import inf
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess

log = logging.getLogger(__name__)

PAUSES = (0.0, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0)
"""Seconds before a process is started again: after its first death in a row, after the second, and so on."""
STEADY_SECONDS = 60.0
"""A process that has run for so many seconds dies for the first time in a row."""

Target = Callable[[Callable[[], None]], object]
"""What a process runs. It calls its argument when it is ready to take over from another process."""


@dataclass(eq=False)
class _Process:
    inner: BaseProcess
    messages: Connection
    """Has a message when the process is ready, and ends when it is dead."""
    started_at: float
    is_ready: bool = False
    kill_at: float = inf

    @property
    def handles(self) -> list[Connection | int]:
        """What `wait` waits for."""
        return [self.inner.sentinel] if self.is_ready else [self.inner.sentinel, self.messages]

    def look(self) -> None:
        """Notice whether the process has become ready."""
        if not self.is_ready and self.messages.poll():
            with suppress(EOFError):  # it is dead
                self.messages.recv()
                self.is_ready = True

    def close(self) -> str:
        """Release what the dead process has left, and return how it ended."""
        code = self.inner.exitcode or 0
        self.messages.close()
        self.inner.close()
        return f"ended with status {code}" if code >= 0 else f"was killed by signal {-code}"


@dataclass(eq=False)
class _Place:
    """What one process runs at any time."""

    name: str
    target: Target
    start_at: float = inf
    """When a process is started, while there is none."""
    deaths: int = 0
    """In a row."""
    process: _Process | None = None
    successor: _Process | None = None
    """A process that replaces the other one as soon as it is ready."""


class Supervisor:
    """Runs each of `targets`, which have names for the log, in a process.

    SIGHUP replaces the processes one after the other, each when its successor is ready. If a successor dies
    before, the old processes go on. A process that is told to end is killed after `stop_seconds`.
    """

    def __init__(
        self, targets: Mapping[str, Target], stop_seconds: float, when_ready: Callable[[], object]
    ) -> None:
        """`when_ready` is called as soon as the first process is ready. The others are started then."""
        self._places = [_Place(name, target) for name, target in targets.items()]
        self._places[0].start_at = 0
        self._stop_seconds = stop_seconds
        self._when_ready: Callable[[], object] | None = when_ready
        self._to_replace: deque[_Place] = deque()
        self._leaving: list[_Process] = []

    def run(self) -> None:
        """Keep the processes running until SIGTERM, SIGINT, or the end of the terminal."""
        signals = _wakeup_socket()
        ends_with_terminal = (
            _has_terminal() and signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN
        )  # nohup
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, lambda *_: None)  # the socket tells of it
        while True:
            self._start_due()
            handles = [handle for process in self._processes() for handle in process.handles]
            if signals in wait([signals, *handles], self._seconds_until_due()):
                received = signals.recv(4096)
                if {signal.SIGTERM, signal.SIGINT}.intersection(received):
                    return
                if ends_with_terminal and not _has_terminal():  # this is what SIGHUP was for
                    return
                self._replace_all()
            for place in self._places:
                self._look_at(place)
            self._leaving = [process for process in self._leaving if not _has_left(process)]

    def stop(self) -> None:
        """Tell all processes to end, wait until they have, and kill those whose time is over."""
        deadline = time.monotonic() + self._stop_seconds
        processes = [process.inner for process in self._processes()]
        for process in processes:
            process.terminate()
        for process in processes:
            process.join(max(0.0, deadline - time.monotonic()))
            if process.is_alive():
                _kill(process)
                process.join()

    def _processes(self) -> Iterator[_Process]:
        for place in self._places:
            yield from filter(None, (place.process, place.successor))
        yield from self._leaving

    def _start_due(self) -> None:
        for place in self._places:
            if place.process is None and place.start_at <= time.monotonic():
                try:
                    place.process = _start(place)
                except OSError as error:
                    _plan(place, f"cannot be started ({error.strerror})")
        if self._to_replace and not any(place.successor for place in self._places):
            place = self._to_replace.popleft()
            try:
                place.successor = _start(place)
            except OSError as error:
                self._give_up(place, f"cannot be started ({error.strerror})")

    def _seconds_until_due(self) -> float | None:
        """Return the time until the next process is to be started or killed. None: there is none."""
        starts = [place.start_at for place in self._places if place.process is None]
        due = min([*starts, *(process.kill_at for process in self._leaving)], default=inf)
        return None if due == inf else max(0.0, due - time.monotonic())

    def _replace_all(self) -> None:
        for place in self._places:
            if place.successor:  # it may have loaded older code
                self._dismiss(place.successor)
                place.successor = None
        self._to_replace = deque(self._places)

    def _look_at(self, place: _Place) -> None:
        if place.process:
            place.process.look()
            if not place.process.inner.is_alive():
                if time.monotonic() - place.process.started_at >= STEADY_SECONDS:
                    place.deaths = 0
                _plan(place, place.process.close())
                place.process = None
        if place.successor:
            place.successor.look()
            if place.successor.is_ready:
                self._take_over(place)
            elif not place.successor.inner.is_alive():
                self._give_up(place, place.successor.close())
        if place.process and place.process.is_ready and self._when_ready:
            self._when_ready()
            self._when_ready = None
            for other in self._places:
                other.start_at = min(other.start_at, time.monotonic())

    def _take_over(self, place: _Place) -> None:
        if place.process:
            self._dismiss(place.process)
        place.process, place.successor = place.successor, None
        if not self._to_replace:
            log.info("all processes have been replaced")

    def _give_up(self, place: _Place, reason: str) -> None:
        place.successor = None
        self._to_replace.clear()
        log.error("the new process %s %s: the old processes go on", place.name, reason)

    def _dismiss(self, process: _Process) -> None:
        """Tell a process to end."""
        process.inner.terminate()
        process.kill_at = time.monotonic() + self._stop_seconds
        self._leaving.append(process)


def _start(place: _Place) -> _Process:
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_run, args=(place.target, sender), name=place.name)
    with sender, _blocked(signal.SIGINT):
        process.start()
    return _Process(process, receiver, time.monotonic())


def _plan(place: _Place, reason: str) -> None:
    """Plan another process instead of one that is dead or cannot be started."""
    pause = PAUSES[min(place.deaths, len(PAUSES) - 1)]
    place.deaths += 1
    place.start_at = time.monotonic() + pause
    log.error("the process %s %s; another one is started in %g s", place.name, reason, pause)


@contextmanager
def _blocked(number: signal.Signals) -> Iterator[None]:
    """Block a signal in this thread inside the context, and in the processes that are started there."""
    resource_tracker.ensure_running()  # `multiprocessing` would start it first, and then unblock the signal
    signal.pthread_sigmask(signal.SIG_BLOCK, {number})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {number})


def _run(target: Target, messages: Connection) -> None:
    os.setpgrp()  # from now on, Ctrl-C in a terminal reaches the main process alone
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # discards a Ctrl-C that came before and is pending
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    threading.Thread(target=_end_with_parent, daemon=True).start()
    target(partial(messages.send, None))


def _end_with_parent() -> None:
    """End when the main process is gone: others could not stop this one."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})  # it is for threads that do something about it
    parent = multiprocessing.parent_process()
    assert parent
    parent.join()
    os._exit(1)


def _has_left(process: _Process) -> bool:
    """Whether a process that was told to end has ended. It is killed when its time is over."""
    if not process.inner.is_alive():
        process.close()
        return True
    if process.kill_at <= time.monotonic():
        _kill(process.inner)
        process.kill_at = inf
    return False


def _kill(process: BaseProcess) -> None:
    log.error("the process %s (%s) has not ended in time and is killed", process.name, process.pid)
    process.kill()


def _has_terminal() -> bool:
    """Whether this process has a terminal that it is controlled by."""
    try:
        os.close(os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY))
    except OSError:
        return False
    return True


def _wakeup_socket() -> socket.socket:
    """Return a socket on which the numbers of the signals of this process arrive as bytes, from now on.

    Handlers alone may come too late: Python runs them in the main thread, which does not notice a signal
    while it waits if the system has given the signal to another thread.
    """
    receiver, sender = socket.socketpair()
    sender.setblocking(False)
    signal.set_wakeup_fd(sender.detach())
    return receiver
