"""Group robots and a mail server that listen on this machine, and followers who wait."""

from __future__ import annotations

import json
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from flask import Flask
from sqlalchemy import select

from tests.waiting import PATIENCE
from wechat_bot.models import AlertChannel
from wechat_bot.services.alerts import channels
from wechat_bot.services.alerts.channels import Secrets
from wechat_bot.services.alerts.robots import Failure
from wechat_bot.services.audit import Actor
from wechat_bot.testing import FakePlatform
from wechat_bot.wiring import services

ADMIN = Actor(None, "li", "127.0.0.1")
FINE = {
    "wecom": {"errcode": 0, "errmsg": "ok"},
    "feishu": {"code": 0, "msg": "success", "data": {}},
    "dingtalk": {"errcode": 0, "errmsg": "ok"},
    "webhook": {},
}


@dataclass
class Robot:
    """A server that keeps what it gets: the path and the body of each request."""

    url: str = ""
    status: int = 200
    answer: Any = field(default_factory=lambda: FINE["wecom"])
    location: str = ""
    silent: threading.Event = field(default_factory=threading.Event)
    """While it is set, requests are not answered."""
    woken: threading.Event = field(default_factory=threading.Event)
    """Ends the silence."""
    got: list[tuple[str, Any]] = field(default_factory=list)

    @property
    def bodies(self) -> list[Any]:
        return [body for _path, body in self.got]

    @property
    def texts(self) -> list[str]:
        """What messages of kind "text" said."""
        return [body["text"]["content"] for body in self.bodies]


@contextmanager
def playing_robot() -> Iterator[Robot]:
    robot = Robot()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            robot.got.append((self.path, json.loads(body)))
            if robot.silent.is_set():
                robot.woken.wait(PATIENCE)
                return
            content = robot.answer if isinstance(robot.answer, bytes) else json.dumps(robot.answer).encode()
            self.send_response(robot.status)
            if robot.location:
                self.send_header("Location", robot.location)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    robot.url = f"http://127.0.0.1:{server.server_port}/robot?key=a-very-secret-key"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield robot
    finally:
        robot.woken.set()
        server.shutdown()
        thread.join()
        server.server_close()


@dataclass
class MailServer:
    url: str = ""
    refuses: bytes = b""
    """The reply to every recipient; empty: they are taken."""
    mails: list[str] = field(default_factory=list)


@contextmanager
def playing_mail_server() -> Iterator[MailServer]:
    """A server that knows as much of SMTP as a client without a password needs."""
    mail = MailServer()

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            self.wfile.write(b"220 played\r\n")
            while line := self.rfile.readline():
                verb = line[:4].upper()
                if verb == b"DATA":
                    self.wfile.write(b"354 go on\r\n")
                    mail.mails.append(b"".join(iter(self.rfile.readline, b".\r\n")).decode())
                refusal = mail.refuses if verb == b"RCPT" else b""
                self.wfile.write((refusal or (b"221 bye" if verb == b"QUIT" else b"250 fine")) + b"\r\n")

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        mail.url = f"smtp://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield mail
        finally:
            server.shutdown()
            thread.join()


class Shop:
    """An application with channels of alerts, whose followers wait for a person."""

    def __init__(self, app: Flask) -> None:
        self.app = app
        self.bot = services(app)
        self.account_id = self.bot.account_id

    def add(self, medium: str = "wecom", url: str = "", secret: str = "", **definition: Any) -> int:
        """Add a channel, and return its id."""
        definition = {"name": f"the {medium} group", "medium": medium, **definition}
        secrets = Secrets(url or None, secret or None)
        ours = self.bot.engine, self.bot.sealer, ADMIN, self.account_id
        return channels.create(*ours, definition, secrets)

    def asks(self, openid: str, *texts: str) -> None:
        """Let a follower write these texts and ask for a person."""
        follower = FakePlatform.of(self.app).follower(openid)
        for text in ("人工", *texts):
            follower.text(text)
        self.bot.projector.catch_up()

    def tell(self, now: datetime | None = None) -> None:
        with self.app.app_context():
            self.bot.alerts.tell_due(self.account_id, now or datetime.now(UTC))

    def test(self, channel_id: int) -> Failure | None:
        with self.app.app_context():
            return self.bot.alerts.test(ADMIN, self.account_id, channel_id, datetime.now(UTC))

    def row(self, channel_id: int) -> Any:
        with self.bot.engine.connect() as connection:
            found = select(AlertChannel.__table__).where(AlertChannel.id == channel_id)
            return connection.execute(found).one()
