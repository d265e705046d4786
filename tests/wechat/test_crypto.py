"""Signatures and encryption, against vectors that this project did not make."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.conftest import AES_KEY, APP_ID
from tests.wechat.corpus import VECTORS
from tests.wechat.strategies import any_text
from wechat_bot.wechat.crypto import MessageCipher, is_key, sign, verify
from wechat_bot.wechat.errors import InvalidCiphertext

Vector = dict[str, Any]
CIPHER = MessageCipher(AES_KEY, APP_ID)


def by_name(vector: Vector) -> str:
    return str(vector["name"])


SIGNED = [vector for vectors in VECTORS.values() for vector in vectors if "signature" in vector]


@pytest.mark.parametrize("vector", SIGNED, ids=by_name)
def test_signatures_are_those_of_the_platform(vector: Vector) -> None:
    parts = vector["token"], vector["timestamp"], vector["nonce"]
    assert sign(*parts) == vector["signature"]
    assert verify(vector["signature"], *parts)


@pytest.mark.parametrize("vector", VECTORS["encrypted"], ids=by_name)
def test_encrypted_messages_are_those_of_the_platform(vector: Vector) -> None:
    cipher = MessageCipher(vector["encoding_aes_key"], vector["app_id"])
    message, prefix = vector["message"].encode(), vector["prefix"].encode()
    assert cipher.encrypt(message, prefix) == vector["encrypt"]
    assert cipher.decrypt(vector["encrypt"]) == message
    parts = vector["token"], vector["timestamp"], vector["nonce"], vector["encrypt"]
    assert verify(vector["msg_signature"], *parts)


@pytest.mark.parametrize("length", range(65))
def test_messages_of_every_length_fill_whole_blocks_of_32_bytes(length: int) -> None:
    encrypted = CIPHER.encrypt(b"x" * length)
    assert len(base64.b64decode(encrypted)) == (16 + 4 + length + len(APP_ID)) // 32 * 32 + 32
    assert CIPHER.decrypt(encrypted) == b"x" * length


@pytest.mark.parametrize("app_id", [APP_ID[:-1], APP_ID + "0", APP_ID[1:], "0" + APP_ID, APP_ID.upper(), ""])
def test_a_message_for_an_app_id_that_only_resembles_ours_is_refused(app_id: str) -> None:
    with pytest.raises(InvalidCiphertext, match="wrong app id"):
        CIPHER.decrypt(MessageCipher(AES_KEY, app_id).encrypt(b"hello"))
    with pytest.raises(InvalidCiphertext, match="wrong app id"):
        MessageCipher(AES_KEY, app_id).decrypt(CIPHER.encrypt(b"hello"))


def test_the_same_message_is_never_encrypted_to_the_same_text() -> None:
    assert CIPHER.encrypt(b"hello") != CIPHER.encrypt(b"hello")


@given(st.binary())
def test_text_that_nobody_encrypted_is_refused(data: bytes) -> None:
    for text in (base64.b64encode(data).decode(), data.decode("latin-1")):
        with pytest.raises(InvalidCiphertext):
            CIPHER.decrypt(text)


@given(any_text, any_text)
@example("", "\ud800")
def test_a_wrong_signature_is_refused_whatever_it_is_made_of(signature: str, part: str) -> None:
    assert not verify(signature, part)


@pytest.mark.parametrize("wrong", ["B02D962F9CEB232906AE100F48D7C795BD8A9CD1", "b02d", "", "是", "\ud800"])
def test_a_signature_is_compared_exactly(wrong: str) -> None:
    assert not verify(wrong, "blueheron2026", "1767225500", "1122334455")


@pytest.mark.parametrize(
    "key",
    [
        AES_KEY[:-1],
        AES_KEY + "A",
        AES_KEY + "=",
        AES_KEY + "\n",
        " " + AES_KEY[1:],
        "+" + AES_KEY[1:],
        "",
        "密" * 43,
    ],
)
def test_a_key_is_43_letters_and_digits(key: str) -> None:
    assert is_key(AES_KEY)
    assert not is_key(key)
