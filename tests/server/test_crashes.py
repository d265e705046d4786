"""All processes are killed under load: no acknowledged message is lost, and none is stored twice."""

from __future__ import annotations

import signal
import sqlite3
import threading
import time

from tests.server.conftest import MakeProgram, Program
from wechat_bot.testing import FakePlatform

KILLS = 4


def push_until(stop: threading.Event, platform: FakePlatform, acknowledged: list[str]) -> None:
    """Push one message after the other, each until it is acknowledged, as the platform does."""
    while not stop.is_set():
        fields = platform.message("text", Content="帮助")
        while not stop.is_set():
            if platform.push_once(fields).status == 200:
                acknowledged.append(fields["MsgId"])
                break
            time.sleep(0.05)


def test_no_acknowledged_message_is_lost_or_doubled(make_program: MakeProgram) -> None:
    program = make_program(LOG_LEVEL="ERROR")
    acknowledged: list[str] = []
    stop = threading.Event()
    load = [
        threading.Thread(
            target=push_until, args=(stop, program.platform().follower(f"oFollower{n}"), acknowledged)
        )
        for n in range(8)
    ]
    program.start()
    for thread in load:
        thread.start()
    try:
        for _ in range(KILLS):
            before = len(acknowledged)
            while len(acknowledged) <= before:  # it is under load
                time.sleep(0.05)
            time.sleep(0.3)
            program.stop(signal.SIGKILL)
            program.start()
    finally:
        stop.set()
        for thread in load:
            thread.join()
    program.stop(signal.SIGTERM)
    check(program, acknowledged)


def check(program: Program, acknowledged: list[str]) -> None:
    with sqlite3.connect(program.folder / "bot.db") as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert database.execute("PRAGMA foreign_key_check").fetchall() == []
        stored = [
            row[0] for row in database.execute("SELECT platform_id FROM message_logs WHERE direction = 'in'")
        ]
        replies = database.execute("SELECT count(*) FROM message_logs WHERE direction = 'out'").fetchone()[0]
    database.close()
    assert len(stored) == len(set(stored)) == replies
    assert set(acknowledged) <= set(stored)
