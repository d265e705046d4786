"""A conversation with the default bot."""

from __future__ import annotations

import pytest

from tests.conftest import MakeApp
from wechat_bot.testing import FakePlatform


@pytest.mark.parametrize("mode", ["plain", "compatible", "safe"])
def test_remembers_a_name_between_messages_in_every_mode(make_app: MakeApp, mode: str) -> None:
    platform = FakePlatform.of(make_app(wechat_message_mode=mode))
    assert platform.text("改名") == "怎么称呼你？发送“取消”不改。"
    assert platform.text("小明") == "好的，小明。"
    assert platform.text("我是谁") == "你是小明。"
