"""The simulated platform accepts and refuses answers as the real one does."""

from __future__ import annotations

import time

import pytest

from tests.conftest import AES_KEY, APP_ID, TOKEN
from wechat_bot.testing import NOTICE, FakeAPI, FakePlatform, Send
from wechat_bot.wechat import replies, xml
from wechat_bot.wechat.api import WeChatClient
from wechat_bot.wechat.credentials import Credentials, Mode
from wechat_bot.wechat.errors import Forbidden, InvalidReply
from wechat_bot.wechat.replies import ImageReply, TextReply

PLAIN = Credentials(tokens=(TOKEN,), app_id=APP_ID, app_secret="secret")
SAFE = Credentials(tokens=(TOKEN,), mode=Mode.SAFE, app_id=APP_ID, aes_keys=(AES_KEY,))

HEAD = {"ToUserName": "o1", "FromUserName": "gh_1", "CreateTime": "1767225600"}


def answering(body: bytes, status: int = 200) -> Send:
    return lambda method, query, sent, timeout: (status, body)


def platform(send: Send, credentials: Credentials = PLAIN) -> FakePlatform:
    return FakePlatform(credentials, send, openid="o1", account="gh_1")


def text(content: str, **changes: str) -> bytes:
    return xml.build({**HEAD, "MsgType": "text", "Content": content, **changes}).encode()


@pytest.mark.parametrize("body", [b"success", b""])
def test_success_and_an_empty_body_are_no_reply(body: bytes) -> None:
    assert platform(answering(body)).text("x") is None


def test_a_text_is_shown_and_other_replies_are_values() -> None:
    assert platform(answering(text("你好"))).text("x") == "你好"
    image = xml.build({**HEAD, "MsgType": "image", "Image": {"MediaId": "m"}}).encode()
    assert platform(answering(image)).text("x") == ImageReply("m")


@pytest.mark.parametrize(
    "body",
    [
        b'"success"',
        b"<html></html>",
        b"\xef\xbb\xbf" + text("x"),
        b" " + text("x"),
        text(""),
        text("好" * 683),
        text("x", ToUserName="gh_1", FromUserName="o1"),
        text("x", CreateTime="now"),
        text("x", MsgType="event"),
    ],
)
def test_an_invalid_answer_shows_the_failure_notice(body: bytes) -> None:
    assert platform(answering(body)).text("x") == NOTICE


def test_a_plain_answer_in_safe_mode_shows_the_failure_notice() -> None:
    assert platform(answering(text("x")), SAFE).text("x") == NOTICE


@pytest.mark.parametrize("status", [201, 302, 403, 500])
def test_any_other_status_is_pushed_again_and_then_shows_the_failure_notice(status: int) -> None:
    fake = platform(answering(b"success", status))
    delivery = fake.push(fake.message("text", Content="x"))
    assert [attempt.status for attempt in delivery.attempts] == [status] * 3
    assert delivery.shown == NOTICE


def test_a_push_that_is_not_answered_in_time_is_made_again_with_the_same_query_and_body() -> None:
    pushes: list[tuple[str, bytes]] = []

    def send(method: str, query: str, body: bytes, timeout: float) -> tuple[int, bytes]:
        pushes.append((query, body))
        if len(pushes) < 3:
            raise TimeoutError
        return 200, text("at last")

    assert platform(send).text("x") == "at last"
    assert len(pushes) == 3
    assert len(set(pushes)) == 1


def test_an_application_that_is_too_slow_is_cut_off() -> None:
    def send(method: str, query: str, body: bytes, timeout: float) -> tuple[int, bytes]:
        time.sleep(timeout)
        raise TimeoutError

    fake = FakePlatform(PLAIN, send, timeout=0.01, pushes=1)
    assert fake.text("x") == NOTICE


def test_the_api_knows_its_tokens_and_paths() -> None:
    api = FakeAPI(PLAIN)
    client = WeChatClient(PLAIN, "https://api.weixin.qq.com", api.transport)
    client.customer.send("o1", TextReply("一"))
    api.expire_tokens()
    client.customer.send("o1", TextReply("二"))
    assert [sent["text"]["content"] for sent in api.sent] == ["一", "二"]
    assert api.calls.count("/cgi-bin/stable_token") == 2
    api.errcodes["/cgi-bin/message/custom/send"] = [48001]
    with pytest.raises(Forbidden):
        client.customer.send("o1", TextReply("三"))


def test_a_reply_that_cannot_travel_through_the_api_says_so() -> None:
    with pytest.raises(InvalidReply):
        replies.TransferReply().to_customer_message()
