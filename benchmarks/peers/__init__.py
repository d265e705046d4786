"""Servers of the peers, each run as its documentation says.

:raises tools.Missing: when one cannot be installed.
"""

from __future__ import annotations

from pathlib import Path

from wechat_bot.wechat.credentials import Mode

from .. import tools
from ..databases import Database
from ..processes import environment
from ..servers import Server
from ..traffic import ACCOUNT_ENVIRONMENT

PROCESSES = 2
RECORDED = "SELECT count(*) FROM messages"


def wechatpy(name: str, mode: Mode, directory: Path) -> Server:
    return _gunicorn(name, mode, directory, "wechatpy")


def werobot(name: str, mode: Mode, directory: Path) -> Server:
    return _gunicorn(name, mode, directory, "werobot")


def _gunicorn(name: str, mode: Mode, directory: Path, peer: str) -> Server:
    """Run two synchronous workers in `directory`, where WeRoBot stores its sessions."""
    gunicorn = tools.python_peer(peer) / "gunicorn"
    command = [str(gunicorn), "--workers", str(PROCESSES), "--worker-class", "sync", "--log-level", "warning"]
    command += ["--chdir", str(directory), "--pythonpath", str(tools.PEERS)]
    return Server(
        name=name,
        mode=mode,
        command=lambda port: [*command, "--bind", f"127.0.0.1:{port}", f"{peer}_flask:app"],
        environ=environment(**ACCOUNT_ENVIRONMENT),
        directory=directory,
    )


def co_wechat(name: str, mode: Mode, directory: Path, database: Database | None = None) -> Server:
    """Run two processes; with a `database` they record messages, on SQLite with synchronous=NORMAL."""
    node, modules = tools.node(), tools.node_modules()
    program = str(tools.PEERS / "node/app.js")
    return Server(
        name=name,
        mode=mode,
        command=lambda port: [node, program, str(port), str(PROCESSES)],
        environ=environment(
            **ACCOUNT_ENVIRONMENT,
            NODE_PATH=str(modules),
            NODE_ENV="production",
            DATABASE_URL=database.url if database else "",
            SQLITE_SYNCHRONOUS="NORMAL",
        ),
        directory=directory,
        database=database,
        recorded=RECORDED if database else "",
    )
