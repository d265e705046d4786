"""Which requests to the callback are believed, and how they are answered."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree

import pytest

from tests.conftest import AES_KEY, APP_ID, TOKEN
from tests.wechat.corpus import ACCOUNT, BODIES, OPENID, VECTORS, body
from tests.wechat.pushes import NOW, Query, encrypted, enveloped, pushed, received, signed, text, webhook
from wechat_bot.wechat import errors
from wechat_bot.wechat.credentials import Credentials, Mode
from wechat_bot.wechat.crypto import MessageCipher, verify
from wechat_bot.wechat.errors import InvalidCiphertext, InvalidSignature, MalformedMessage
from wechat_bot.wechat.messages import Message, SubscribeEvent, TextMessage
from wechat_bot.wechat.replies import TextReply
from wechat_bot.wechat.webhook import Incoming, Webhook

HELLO = body("messages/text")
OTHER_TOKEN = "greyheron2027"
OTHER_KEY = "f0E1d2C3b4A5968778695a4B3c2D1e0F00112233445"
ENCRYPTED_MODES = [Mode.COMPATIBLE, Mode.SAFE]


def opened(mode: Mode, query: Query, body: bytes, **changes: Any) -> Message:
    return received(webhook(mode, **changes), text(query), body).message


# The platform's own requests

VECTOR = {vector["name"]: vector for vector in (*VECTORS["signatures"], *VECTORS["encrypted"])}


def vector_opened(vector: dict[str, Any], push: dict[str, Any], server: dict[str, Any]) -> Message:
    """The message in the request of `vector`, changed by `push`, on a server changed by `server`."""
    sent, known = {**vector, **push}, {**vector, **server}
    credentials = Credentials(
        tokens=(known["token"],),
        mode=Mode.SAFE,
        app_id=known["app_id"],
        aes_keys=(known["encoding_aes_key"],),
    )
    names = ("signature", "timestamp", "nonce", "msg_signature")
    query = {"openid": OPENID, "encrypt_type": "aes", **{name: sent[name] for name in names}}
    encrypt = f"<Encrypt><![CDATA[{sent['encrypt']}]]></Encrypt>"
    envelope = f"<xml><ToUserName><![CDATA[{ACCOUNT}]]></ToUserName>{encrypt}</xml>"
    callback = Webhook(credentials, lambda: float(vector["timestamp"]))
    return received(callback, text(query), envelope.encode()).message


@pytest.mark.parametrize(
    ("name", "kind", "attributes"),
    [
        ("V1", TextMessage, {"content": "hello", "msg_id": "24987654321098765"}),
        ("V3", SubscribeEvent, {"scene": "7777777777777777777777777777777", "ticket": "TICKET"}),
    ],
)
def test_the_platform_s_push_is_opened(name: str, kind: type[Message], attributes: dict[str, str]) -> None:
    message = vector_opened(VECTOR[name], {}, {})
    assert type(message) is kind
    assert attributes.items() <= vars(message).items()


@pytest.mark.parametrize("name", ["V4", "V5 request"])  # nothing, and JSON
def test_a_genuine_push_may_be_no_message(name: str) -> None:
    with pytest.raises(MalformedMessage):
        vector_opened(VECTOR[name], {}, {})


@pytest.mark.parametrize("case", VECTORS["refused"], ids=lambda case: case["case"])
def test_a_push_that_was_tampered_with_is_refused(case: dict[str, Any]) -> None:
    with pytest.raises(errors.WebhookError) as caught:
        vector_opened(VECTOR["V1"], case.get("push", {}), case.get("server", {}))
    assert type(caught.value) is getattr(errors, case["error"])


@pytest.mark.parametrize("mode", Mode)
def test_the_console_verifies_the_url_in_every_mode(mode: Mode) -> None:
    vector = VECTOR["V0"]
    query = {name: vector[name] for name in ("signature", "timestamp", "nonce")}
    url = webhook(mode, now=float(vector["timestamp"]))
    assert url.handshake(text({**query, "echostr": "4375120948345356249"})) == "4375120948345356249"


@pytest.mark.parametrize("echostr", [[], ["1", "1"]], ids=["missing", "repeated"])
def test_a_verification_has_one_echostr(echostr: list[str]) -> None:
    with pytest.raises(InvalidSignature, match="echostr"):
        webhook().handshake(text(signed(echostr=echostr)))


# Signatures

FAULTS: dict[str, list[str]] = {
    "missing": [],
    "empty": [""],
    "wrong": ["1767225601"],
    "longer": ["1f30ee0c1deade7454339bd315046b9eb53b2c51" * 1000],
    "non-ASCII": ["签名"],
    "not UTF-8": ["%FF"],
    "NUL": ["\0"],
}


@pytest.mark.parametrize("fault", [*FAULTS, "repeated", "contradicted"])
@pytest.mark.parametrize("name", ["signature", "timestamp", "nonce"])
@pytest.mark.parametrize("mode", Mode)
def test_a_request_without_a_right_signature_is_refused(mode: Mode, name: str, fault: str) -> None:
    query, _ = pushed(mode, HELLO)
    right = query[name]
    query[name] = {"repeated": [right, right], "contradicted": [right, "1"], **FAULTS}[fault]
    refused = text(query).replace("%25FF", "%FF")
    with pytest.raises(InvalidSignature):
        webhook(mode).authenticate(refused)
    with pytest.raises(InvalidSignature):
        webhook(mode).handshake(refused + "&echostr=1")


@pytest.mark.parametrize(
    "query", ["", "&", "=", "signature", "%", "signature=%ED%A0%80&timestamp=%00&nonce=%ff"]
)
def test_a_stray_visitor_is_refused(query: str) -> None:
    with pytest.raises(InvalidSignature):
        webhook().handshake(query)
    with pytest.raises(InvalidSignature):
        webhook().authenticate(query)


@pytest.mark.parametrize("mode", Mode)
@pytest.mark.parametrize("seconds", [-301, 301, -86400, 10**10])
def test_a_request_from_another_time_is_refused(mode: Mode, seconds: int) -> None:
    query, body = pushed(mode, HELLO)
    with pytest.raises(InvalidSignature, match="clock"):
        opened(mode, query, body, now=NOW + seconds)


@pytest.mark.parametrize("mode", Mode)
@pytest.mark.parametrize("seconds", [-300, 300, -299.5, 12])
def test_a_request_within_five_minutes_is_accepted(mode: Mode, seconds: float) -> None:
    query, body = pushed(mode, HELLO)
    assert opened(mode, query, body, now=NOW + seconds).msg_id == "24987654321098765"


@pytest.mark.parametrize(
    "timestamp", ["", "now", "-1", "1767225600.0", " 1767225600", "１７６７２２５６００", "1" * 5000]
)
def test_a_signed_time_stamp_that_is_no_number_is_refused(timestamp: str) -> None:
    with pytest.raises(InvalidSignature, match="no number"):
        opened(Mode.PLAIN, signed(timestamp=timestamp), HELLO)


@pytest.mark.parametrize("mode", Mode)
def test_a_retry_is_the_same_message_with_the_same_nonce(mode: Mode) -> None:
    one = webhook(mode)
    query, body = pushed(mode, HELLO)
    again, encrypted_again = pushed(mode, HELLO)
    keys = {
        received(one, text(query), body).message.dedup_key,
        received(one, text(query), body).message.dedup_key,
        received(one, text(again), encrypted_again).message.dedup_key,
    }
    assert len(keys) == 1


# Encryption


@pytest.mark.parametrize("fault", [*FAULTS, "repeated"])
@pytest.mark.parametrize("mode", ENCRYPTED_MODES)
def test_an_encrypted_push_without_a_right_msg_signature_is_refused(mode: Mode, fault: str) -> None:
    query, body = pushed(mode, HELLO)
    query["msg_signature"] = {"repeated": [query["msg_signature"]] * 2, **FAULTS}[fault]
    with pytest.raises(InvalidSignature):
        opened(mode, query, body)


@pytest.mark.parametrize("mode", ENCRYPTED_MODES)
@pytest.mark.parametrize(
    "changes", [{"key": OTHER_KEY}, {"app_id": "wx0000000000000000"}, {"app_id": ""}], ids=str
)
def test_a_push_that_was_encrypted_for_someone_else_is_refused(mode: Mode, changes: dict[str, str]) -> None:
    query, body = encrypted(HELLO, **changes)
    with pytest.raises(InvalidCiphertext):
        opened(mode, query, body)


@pytest.mark.parametrize("mode", ENCRYPTED_MODES)
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"not xml",
        HELLO,
        b"<xml><Encrypt/></xml>",
        b"<xml><Encrypt>a</Encrypt><Encrypt>a</Encrypt></xml>",
        b"<xml><Encrypt><a>a</a></Encrypt></xml>",
    ],
    ids=lambda body: ascii(body[:50]),
)
def test_an_encrypted_push_without_one_encrypt_is_refused(mode: Mode, body: bytes) -> None:
    with pytest.raises(InvalidCiphertext):
        opened(mode, enveloped("a")[0], body)


@pytest.mark.parametrize(
    "encrypt_type", [{}, {"encrypt_type": "raw"}, {"encrypt_type": ["aes", "raw"]}], ids=str
)
@pytest.mark.parametrize("body", [HELLO, encrypted(HELLO)[1]], ids=["plain", "encrypted"])
def test_plain_text_is_refused_in_safe_mode(encrypt_type: Query, body: bytes) -> None:
    with pytest.raises(InvalidCiphertext, match="safe mode"):
        opened(Mode.SAFE, signed(**encrypt_type), body)


@pytest.mark.parametrize("encrypt_type", [{}, {"encrypt_type": "raw"}], ids=str)
@pytest.mark.parametrize("mode", [Mode.PLAIN, Mode.COMPATIBLE])
def test_plain_text_is_accepted_in_the_other_modes(mode: Mode, encrypt_type: Query) -> None:
    incoming = received(webhook(mode), text(signed(**encrypt_type)), HELLO)
    assert incoming.cipher is None
    assert incoming.message.msg_id == "24987654321098765"


def test_compatible_mode_believes_only_what_was_encrypted() -> None:
    query, body = encrypted(HELLO, FromUserName="oMallory", MsgType="text", Content="lie", MsgId="1")
    message = opened(Mode.COMPATIBLE, query, body)
    assert isinstance(message, TextMessage)
    assert (message.content, message.openid, message.msg_id) == (
        "Opening hours?",
        OPENID,
        "24987654321098765",
    )


def test_an_encrypted_push_needs_a_key() -> None:
    query, body = encrypted(HELLO)
    with pytest.raises(InvalidCiphertext, match="WECHAT_ENCODING_AES_KEY is not set"):
        opened(Mode.PLAIN, query, body, aes_keys=())


# Messages


@pytest.mark.parametrize("mode", Mode)
def test_every_documented_push_is_opened_in_every_mode(mode: Mode) -> None:
    for name, message in BODIES.items():
        assert type(opened(mode, *pushed(mode, body(name)))) is type(message), name


@pytest.mark.parametrize("mode", Mode)
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"hello",
        b'{"ToUserName": "gh_1a2b3c4d5e6f", "MsgType": "text"}',
        b"<html><body/></html>",
        HELLO[:-1],
        HELLO[:200],
        HELLO.replace(b"FromUserName", b"Sender"),
        b"<!DOCTYPE xml>" + HELLO,
        b'<!DOCTYPE xml [<!ENTITY e "x">]>' + HELLO.replace(b"Opening", b"]]>&e;<![CDATA["),
    ],
    ids=lambda body: ascii(body[-50:]),
)
def test_a_genuine_push_that_makes_no_sense_is_malformed(mode: Mode, body: bytes) -> None:
    query, sent = pushed(mode, body)
    with pytest.raises(MalformedMessage):
        opened(mode, query, sent)


@pytest.mark.parametrize("mode", Mode)
@pytest.mark.parametrize(
    ("body", "invalid"),
    [
        (HELLO.replace(b"<MsgId>", b"<MsgId>1</MsgId><MsgId>"), ()),
        (HELLO.replace(b"MsgId", b"Id"), ("MsgId",)),
        (HELLO.replace(b"24987654321098765", b"many"), ("MsgId",)),
        (HELLO.replace(b"1767225600", b"today"), ("CreateTime",)),
        (HELLO.replace(b"<MsgDataId>", b"<MsgDataId>" + b"<a>" * 50 + b"</a>" * 50), ()),
    ],
)
def test_a_genuine_push_is_understood_as_far_as_possible(
    mode: Mode, body: bytes, invalid: tuple[str, ...]
) -> None:
    message = opened(mode, *pushed(mode, body))
    assert isinstance(message, TextMessage)
    assert (message.content, message.openid) == ("Opening hours?", OPENID)
    assert message.invalid_fields == invalid


def test_a_message_without_a_valid_time_was_sent_now() -> None:
    body = HELLO.replace(b"1767225600", b"1767225600123")
    assert received(webhook(), text(signed()), body).message.created_at.timestamp() == NOW


# Answers


def answer(incoming: Incoming, server: Webhook) -> dict[str, str]:
    root = ElementTree.fromstring(server.seal(incoming, TextReply("好的")))
    return {child.tag: child.text or "" for child in root}


def test_a_plain_push_is_answered_in_plain_text() -> None:
    server = webhook()
    assert answer(received(server, text(signed()), HELLO), server) == {
        "ToUserName": OPENID,
        "FromUserName": ACCOUNT,
        "CreateTime": str(NOW),
        "MsgType": "text",
        "Content": "好的",
    }


@pytest.mark.parametrize("mode", ENCRYPTED_MODES)
@pytest.mark.parametrize("token", [TOKEN, OTHER_TOKEN])
@pytest.mark.parametrize("key", [AES_KEY, OTHER_KEY])
def test_the_answer_is_sealed_with_the_token_and_key_of_the_push(mode: Mode, token: str, key: str) -> None:
    server = webhook(mode, tokens=(TOKEN, OTHER_TOKEN), aes_keys=(AES_KEY, OTHER_KEY))
    query, body = encrypted(HELLO, token=token, key=key)
    envelope = answer(received(server, text(query), body), server)
    assert set(envelope) == {"Encrypt", "MsgSignature", "TimeStamp", "Nonce"}
    assert envelope["TimeStamp"] == str(NOW)
    parts = token, envelope["TimeStamp"], envelope["Nonce"], envelope["Encrypt"]
    assert verify(envelope["MsgSignature"], *parts)
    assert "好的" in MessageCipher(key, APP_ID).decrypt(envelope["Encrypt"]).decode()


def test_two_tokens_of_a_request_must_not_be_mixed() -> None:
    query, body = encrypted(HELLO, token=OTHER_TOKEN)
    with pytest.raises(InvalidSignature, match="msg_signature"):
        opened(Mode.SAFE, {**query, **signed()}, body, tokens=(TOKEN, OTHER_TOKEN))


def test_the_previous_token_verifies_the_url() -> None:
    query = text(signed(token=OTHER_TOKEN, echostr="1"))
    assert webhook(tokens=(TOKEN, OTHER_TOKEN)).handshake(query) == "1"
