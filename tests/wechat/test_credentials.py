"""Credentials that cannot be right are refused when the program starts."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conftest import AES_KEY, APP_ID, APP_SECRET, TOKEN
from tests.wechat.pushes import credentials
from wechat_bot.wechat.credentials import Mode
from wechat_bot.wechat.errors import CredentialsError


@pytest.mark.parametrize(
    "changes",
    [
        {"tokens": ("abc",)},
        {"tokens": ("A1" * 16,)},
        {"tokens": (TOKEN, "previous1")},
        {"app_id": "", "aes_keys": ()},
        {"mode": Mode.COMPATIBLE},
        {"mode": Mode.SAFE, "aes_keys": (AES_KEY, AES_KEY[::-1])},
    ],
)
def test_an_operator_may_use_what_the_console_accepts(changes: dict[str, Any]) -> None:
    credentials(**changes)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"tokens": ()}, "WECHAT_TOKEN is missing"),
        *(
            ({"tokens": (token,)}, "WECHAT_TOKEN must be 3 to 32 letters and digits")
            for token in ("ab", "a" * 33, "with blank", "token\n", "令牌令牌")
        ),
        ({"tokens": (TOKEN, "no")}, "WECHAT_TOKEN must be 3 to 32 letters and digits"),
        *(
            ({"app_id": app_id}, "WECHAT_APP_ID must be wx and 16 hex digits")
            for app_id in ("gh_1a2b3c4d5e6f", APP_ID + "0", APP_ID.upper(), APP_ID + "\n")
        ),
        ({"aes_keys": ("short",)}, "WECHAT_ENCODING_AES_KEY must be 43 letters and digits"),
        ({"aes_keys": (AES_KEY, "short")}, "WECHAT_ENCODING_AES_KEY must be 43 letters and digits"),
        ({"mode": Mode.SAFE, "aes_keys": ()}, "WECHAT_MESSAGE_MODE is safe, which needs"),
        ({"mode": Mode.COMPATIBLE, "app_id": ""}, "WECHAT_MESSAGE_MODE is compatible, which needs"),
    ],
)
def test_an_operator_reads_what_is_wrong(changes: dict[str, Any], problem: str) -> None:
    with pytest.raises(CredentialsError, match=problem):
        credentials(**changes)


def test_an_operator_reads_all_problems_at_once() -> None:
    with pytest.raises(CredentialsError) as caught:
        credentials(tokens=("no",), app_id="no", aes_keys=("no",))
    for name in ("WECHAT_TOKEN", "WECHAT_APP_ID", "WECHAT_ENCODING_AES_KEY"):
        assert str(caught.value).count(name) == 1


def test_credentials_show_no_secret() -> None:
    shown = repr(credentials(app_secret=APP_SECRET))
    assert APP_ID in shown
    assert not any(secret in shown for secret in (TOKEN, AES_KEY, APP_SECRET))
