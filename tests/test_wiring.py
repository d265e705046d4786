"""The place where the parts meet is typed: mypy finds a wrong name and a swapped argument."""

from __future__ import annotations

from pathlib import Path

import pytest
from flask import Flask
from mypy import api

from tests.conftest import MakeApp
from wechat_bot.routing import Answer, Context, Router
from wechat_bot.testing import FakePlatform
from wechat_bot.wechat.messages import TextMessage
from wechat_bot.wiring import services

ROOT = Path(__file__).parent.parent

WRONG = """
from wechat_bot.jobs import Job
from wechat_bot.routing import Context, Router
from wechat_bot.services.outbox.sending import Outbox
from wechat_bot.wiring import services

def use(ctx: Context) -> None:
    found = services()
    found.jobs.enqueue(Job.SEND, 1)
    found.jobs.enqueue(1, Job.SEND)  # swapped
    found.outbx.send(1)  # misspelt
    found.jobs.ask(Job.SEND, 1)  # misspelt
    found.outbox = found.outbox  # frozen
    client, quotas, files = found.client, found.quotas, found.archive
    Outbox(found.engine, found.capabilities, client, quotas, files, found.jobs.enqueue, Router())  # swapped
    ctx.services.outbox.sent(1)  # misspelt
    ctx.client.users.get("o")  # None without AppID and AppSecret
"""


def test_mypy_refuses_wrong_names_and_swapped_arguments(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sample = tmp_path / "wrong.py"
    sample.write_text(WRONG)
    monkeypatch.chdir(ROOT)  # for the configuration and the cache of `make check`
    output, _, status = api.run([str(sample), "--no-error-summary", "--hide-error-context"])
    lines = {int(line.split(":")[1]) for line in output.splitlines() if ": error:" in line}
    wrong = {n for n, line in enumerate(WRONG.splitlines(), 1) if "  # " in line}
    assert (status, lines) == (1, wrong), output


def test_handlers_get_the_services_and_the_client_from_their_context(make_app: MakeApp) -> None:
    router, seen = Router(), list[object]()

    @router.on(TextMessage)
    def handler(message: TextMessage, ctx: Context) -> Answer:
        seen.extend([ctx.services, ctx.client])
        return "ok"

    app: Flask = make_app(router, wechat_app_secret="0" * 32)
    assert FakePlatform.of(app).text("x") == "ok"
    assert seen == [services(app), services(app).client]
    assert services(app).client is not None


def test_a_context_made_by_hand_has_no_services() -> None:
    with pytest.raises(RuntimeError, match="no services"):
        _ = Context().services
