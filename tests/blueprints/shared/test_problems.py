"""Errors in words: each says what has happened, and what to do about it."""

from __future__ import annotations

import pytest
from flask import Flask

from wechat_bot.blueprints.shared.problems import describe_error
from wechat_bot.services.outbox.decisions import UNREADABLE_FILE, UNSENDABLE_REPLY


@pytest.mark.parametrize(
    ("errcode", "error", "words"),
    [
        (45015, "out of time", "（45015）。"),
        (None, "45015 out of time", "（45015）。"),
        (None, "ConnectTimeout", "没有收到回答（ConnectTimeout）。查一查本机到微信接口的网络。"),
        (None, UNREADABLE_FILE, "重新选文件再发。"),
        (None, UNSENDABLE_REPLY, "不能作为客服消息发送。"),
    ],
)
def test_an_error_is_explained(app: Flask, errcode: int | None, error: str, words: str) -> None:
    with app.test_request_context():
        assert words in describe_error(errcode, error)
