"""Another implementation of the platform's protocol understands ours, and we it.

wechatpy shares no code with us, as `wechat_bot.testing` does.
"""

from __future__ import annotations

import time
from urllib.parse import urlencode
from xml.etree import ElementTree

import httpx2
import pytest
from hypothesis import given
from wechatpy.crypto import WeChatCrypto  # type: ignore[import-untyped]
from wechatpy.replies import TextReply as TheirTextReply  # type: ignore[import-untyped]
from wechatpy.replies import deserialize_reply
from wechatpy.utils import WeChatSigner  # type: ignore[import-untyped]

from tests.conftest import AES_KEY, APP_ID, TOKEN, MakeApp
from tests.wechat.corpus import ACCOUNT, OPENID
from tests.wechat.pushes import NONCE, NOW, received, webhook
from tests.wechat.strategies import legal_text
from wechat_bot.routing import Answer, Context, Router
from wechat_bot.testing import listening
from wechat_bot.wechat.credentials import Mode
from wechat_bot.wechat.messages import SubscribeEvent, TextMessage
from wechat_bot.wechat.replies import TextReply

CRYPTO = WeChatCrypto(TOKEN, AES_KEY, APP_ID)


def signature(*parts: str) -> str:
    signer = WeChatSigner()
    signer.add_data(*parts)
    return str(signer.signature)


def query(timestamp: int, **more: str) -> str:
    signed = signature(TOKEN, str(timestamp), NONCE)
    return urlencode({"signature": signed, "timestamp": str(timestamp), "nonce": NONCE, **more})


def push(mode: Mode, plain: str, timestamp: int) -> tuple[str, bytes]:
    """Query and body of a push as wechatpy makes it."""
    if mode is Mode.PLAIN:
        return query(timestamp, openid=OPENID), plain.encode()
    envelope = ElementTree.fromstring(CRYPTO.encrypt_message(plain, NONCE, str(timestamp)))
    encrypt, msg_signature = envelope.findtext("Encrypt", ""), envelope.findtext("MsgSignature", "")
    beside = plain.removeprefix("<xml>").removesuffix("</xml>") if mode is Mode.COMPATIBLE else ""
    body = f"<xml>{beside}<Encrypt><![CDATA[{encrypt}]]></Encrypt></xml>"
    more = {"openid": OPENID, "encrypt_type": "aes", "msg_signature": msg_signature}
    return query(timestamp, **more), body.encode()


def opened(mode: Mode, answer: str) -> str:
    """The reply in an answer, as wechatpy opens it."""
    if mode is Mode.PLAIN:
        return answer
    envelope = ElementTree.fromstring(answer)
    names = ("MsgSignature", "TimeStamp", "Nonce")
    return str(CRYPTO.decrypt_message(answer, *(envelope.findtext(name, "") for name in names)))


def text_message(content: str, timestamp: int) -> str:
    safe = content.replace("]]>", "]]]]><![CDATA[>").replace("\r", "]]>&#13;<![CDATA[")
    return (
        f"<xml><ToUserName><![CDATA[{ACCOUNT}]]></ToUserName>"
        f"<FromUserName><![CDATA[{OPENID}]]></FromUserName><CreateTime>{timestamp}</CreateTime>"
        f"<MsgType><![CDATA[text]]></MsgType><Content><![CDATA[{safe}]]></Content>"
        "<MsgId>24987654321098765</MsgId></xml>"
    )


# Without a server: every text


@given(legal_text)
def test_what_they_encrypt_we_open(content: str) -> None:
    for mode in Mode:
        sent, body = push(mode, text_message(content, NOW), NOW)
        message = received(webhook(mode), sent, body).message
        assert isinstance(message, TextMessage)
        assert message.content == content


@given(legal_text.filter(str.strip))
def test_what_we_seal_they_open(content: str) -> None:
    for mode in Mode:
        server = webhook(mode)
        incoming = received(server, *push(mode, text_message("hi", NOW), NOW))
        answer = TextReply(content)
        reply = ElementTree.fromstring(opened(mode, server.seal(incoming, answer)))
        assert (reply.findtext("ToUserName"), reply.findtext("FromUserName")) == (OPENID, ACCOUNT)
        assert (reply.findtext("MsgType"), reply.findtext("Content")) == ("text", answer.content)


# With a server


@pytest.fixture
def echo() -> Router:
    router = Router()

    @router.on(TextMessage)
    def repeat(message: TextMessage, ctx: Context) -> Answer:
        return message.content

    @router.on(SubscribeEvent)
    def welcome(event: SubscribeEvent, ctx: Context) -> Answer:
        return f"欢迎，{event.scene}！"

    return router


def their_answer(url: str, mode: Mode, plain: str) -> TheirTextReply:
    sent, body = push(mode, plain, int(time.time()))
    response = httpx2.post(f"{url}?{sent}", content=body, headers={"Content-Type": "text/xml"})
    assert response.status_code == 200
    return deserialize_reply(opened(mode, response.text))


@pytest.mark.parametrize("mode", Mode)
def test_they_talk_to_a_running_server(make_app: MakeApp, echo: Router, mode: Mode) -> None:
    now = int(time.time())
    content = '你好 😀𠮷 <a href="https://e.com/?a=1&b=2">]]></a>'
    subscribe = (
        f"<xml><ToUserName>{ACCOUNT}</ToUserName><FromUserName>{OPENID}</FromUserName>"
        f"<CreateTime>{now}</CreateTime><MsgType>event</MsgType><Event>subscribe</Event>"
        "<EventKey>qrscene_柜台7</EventKey></xml>"
    )
    with listening(make_app(echo, wechat_message_mode=mode.value)) as address:
        url = f"{address}/wechat"
        verified = httpx2.get(f"{url}?{query(now, echostr='4375120948345356249')}")
        reply = their_answer(url, mode, text_message(content, now))
        welcome = their_answer(url, mode, subscribe)
    assert (verified.status_code, verified.text) == (200, "4375120948345356249")
    assert (reply.source, reply.target) == (ACCOUNT, OPENID)
    assert reply.content == content
    assert welcome.content == "欢迎，柜台7！"


def test_they_are_refused_with_another_token(make_app: MakeApp) -> None:
    with listening(make_app(wechat_token="greyheron2027")) as address:
        url = f"{address}/wechat"
        response = httpx2.get(f"{url}?{query(int(time.time()), echostr='1')}")
    assert (response.status_code, response.text) == (403, "forbidden")
