"""Processes are killed, replaced and told to end while pushes arrive: followers notice nothing."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from tests import asynchronous
from tests.server.conftest import ROOT, MakeProgram, Program
from tests.server.test_drills import handled, logged
from tests.server.test_program import wait_for_another_worker, workers
from tests.waiting import wait_until
from wechat_bot.models import Direction, MessageLog
from wechat_bot.simulator.flood import Message, Outcome, Result, flood

BOT = ROOT / "tests/server/held_bot/wsgi.py"
"""Answers with the question; those that begin with 慢 when it is told."""
PER_SECOND = 20
IN_TERMINAL = """
import pty, signal, sys
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # the tests themselves may ignore it
pty.spawn(sys.argv[1:])
"""


def web_processes(program: Program) -> set[int]:
    """Return the ids of the processes that accept connections at the port of a program."""
    assert program.process
    inodes = re.findall(rf":{program.port:04X} \S+ 0A (?:\S+ +){{5}}(\d+)", Path("/proc/net/tcp").read_text())
    sockets = {f"socket:[{inode}]" for inode in inodes}
    return {pid for pid in child_processes(program.process.pid) if sockets.intersection(open_files(pid))}


def child_processes(pid: int) -> list[int]:
    return list(map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split()))


def open_files(pid: int) -> list[str]:
    try:
        return [os.path.realpath(fd).rpartition("/")[2] for fd in Path(f"/proc/{pid}/fd").iterdir()]
    except OSError:  # it has ended
        return []


def ordinary(seconds: float) -> list[Message]:
    return [(f"oQuick{n}", {"Content": f"第 {n} 问"}) for n in range(round(PER_SECOND * seconds))]


def pushed_while(program: Program, messages: Sequence[Message], act: Callable[[], object]) -> list[Result]:
    """Push messages, act meanwhile, and return what became of the messages."""
    platform = program.platform()

    async def pushed() -> list[Result]:
        pushing = flood(platform, messages, per_second=PER_SECOND)
        results, _ = await asyncio.gather(pushing, asyncio.to_thread(act))
        return results

    return asynchronous.run(pushed())


def threads_for_sigterm(pid: int) -> int:
    """Return the number of threads of a process that the system may give the signal to."""
    masks = re.findall(
        r"SigBlk:\t(\w+)", "".join(task.read_text() for task in Path(f"/proc/{pid}/task").glob("*/status"))
    )
    return sum(not int(mask, 16) >> (signal.SIGTERM - 1) & 1 for mask in masks)


def handles_ctrl_c(pid: int) -> bool:
    [mask] = re.findall(r"SigCgt:\t(\w+)", Path(f"/proc/{pid}/status").read_text())
    return bool(int(mask, 16) >> (signal.SIGINT - 1) & 1)


def sleeps(pid: int) -> bool:
    return ") S " in Path(f"/proc/{pid}/stat").read_text()


def unanswered(results: Sequence[Result], word: str = "收到") -> list[Result]:
    """Return the results without the right answer."""
    return [result for result in results if result.reply != f"{word}：{result.text}"]


def test_a_process_that_is_killed_again_and_again_does_not_end_the_others(make_program: MakeProgram) -> None:
    program = make_program(BOT, WEB_WORKERS="2")
    program.start()
    wait_until(lambda: len(web_processes(program)) == 2)

    def kill() -> None:
        """Kill a process, and its successors as soon as they listen."""
        [steady, victim] = sorted(web_processes(program))
        known = {steady, victim}  # a process that was killed may be listed for a moment longer
        for _ in range(2):
            os.kill(victim, signal.SIGKILL)
            wait_until(lambda: web_processes(program) - known)
            [victim] = web_processes(program) - known
            known.add(victim)
        os.kill(victim, signal.SIGKILL)

    assert unanswered(pushed_while(program, ordinary(6), kill)) == []
    wait_until(lambda: program.log.read_text().count("was killed by signal 9") == 3, program.log.read_text)
    wait_until(lambda: len(web_processes(program)) == 2)
    assert program.stop(signal.SIGTERM) == 0


def test_a_reload_brings_new_code_and_keeps_the_old_where_the_new_is_broken(
    make_program: MakeProgram,
) -> None:
    program = make_program(BOT, WEB_WORKERS="2")
    code = program.folder / "wsgi.py"
    source = code.read_text(encoding="utf-8")
    code.unlink()
    code.write_text(source, encoding="utf-8")
    program.start()
    worker = wait_for_another_worker(program, "")

    def reload(source: str, end: str) -> None:
        code.write_text(source, encoding="utf-8")
        assert program.process
        os.kill(program.process.pid, signal.SIGHUP)
        wait_until(lambda: end in program.log.read_text(), program.log.read_text)

    def break_it() -> None:
        reload("raise SystemError", "the old processes go on")

    def renew_it() -> None:
        reload(source.replace("收到", "看到"), "all processes have been replaced")

    assert unanswered(pushed_while(program, ordinary(2), break_it)) == []
    before = web_processes(program)
    results = pushed_while(program, ordinary(5), renew_it)
    assert [result for result in results if result.outcome is not Outcome.ANSWERED] == []
    assert unanswered(pushed_while(program, ordinary(1), lambda: None), "看到") == []
    wait_until(lambda: worker not in workers(program), program.log.read_text)
    assert len(workers(program)) == 1
    assert not before & web_processes(program)
    assert program.stop(signal.SIGTERM) == 0


def test_the_threads_of_a_process_share_few_heaps(program: Program) -> None:
    program.start()
    processes = web_processes(program)
    assert processes
    for pid in processes:
        assert b"\0MALLOC_ARENA_MAX=2\0" in Path(f"/proc/{pid}/environ").read_bytes()


def test_a_program_ends_with_its_terminal(program: Program) -> None:
    program.start(sys.executable, "-c", IN_TERMINAL)
    assert program.process
    [main] = child_processes(program.process.pid)
    try:
        program.process.kill()  # the window is closed
        wait_until(lambda: not Path(f"/proc/{main}").exists())
    finally:
        with suppress(ProcessLookupError):
            os.kill(main, signal.SIGKILL)


def test_ctrl_c_does_not_interrupt_a_process_that_has_just_been_started(make_program: MakeProgram) -> None:
    """It is still in the group of the main process, which the terminal signals. The main process ends it."""
    program = make_program(BOT)
    program.launch()
    assert program.process
    main = program.process.pid
    # The first child belongs to `multiprocessing`. In the other one, Python is ready to be interrupted.
    wait_until(lambda: any(map(handles_ctrl_c, child_processes(main)[1:])), program.log.read_text)
    wait_until(lambda: sleeps(main), program.log.read_text)  # it has told the process what to run
    os.kill(main, signal.SIGSTOP)
    os.killpg(main, signal.SIGINT)
    wait_until(lambda: web_processes(program) or "Traceback" in program.log.read_text())
    os.kill(main, signal.SIGCONT)
    assert program.process.wait(40) == 0
    assert "Traceback" not in program.log.read_text()


def test_ctrl_c_while_the_database_is_prepared_leaves_no_traceback(make_program: MakeProgram) -> None:
    program = make_program(BOT, template=None)
    program.launch()
    wait_until((program.folder / "bot.db").exists, program.log.read_text)
    assert program.stop(signal.SIGINT) == -signal.SIGINT
    assert "Traceback" not in program.log.read_text()
    program.start()
    assert program.stop(signal.SIGINT) == 0


def test_slow_handlers_are_completed_before_the_program_ends(make_program: MakeProgram) -> None:
    """Also if each process is told so several times, as by systemd and by the main process."""
    program = make_program(BOT, WEB_WORKERS="2")
    program.start()
    wait_until(lambda: len(web_processes(program)) == 2)
    slow: list[Message] = [(f"oSlow{n}", {"Content": f"慢 第 {n} 问"}) for n in range(PER_SECOND)]
    url, listening = program.environment["DATABASE_URL"], web_processes(program)

    def stop() -> None:
        wait_until(lambda: handled(url).total() == len(slow))
        assert [threads_for_sigterm(pid) for pid in listening] == [1, 1]
        for pid in [*listening] * 3:
            os.kill(pid, signal.SIGTERM)
        wait_until(lambda: not listening & web_processes(program))
        assert program.process
        os.kill(program.process.pid, signal.SIGTERM)
        (program.folder / "go").touch()
        assert program.process.wait(40) == 0

    pushed_while(program, slow, stop)
    assert logged(url, MessageLog.state, MessageLog.direction == Direction.IN) == {"answered": len(slow)}
    assert "has not ended in time" not in program.log.read_text()
