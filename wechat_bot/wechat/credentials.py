"""The credentials of an Official Account: tokens, AES keys, AppID and AppSecret."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import StrEnum

from .crypto import is_key
from .errors import CredentialsError


class Mode(StrEnum):
    """How pushes are encrypted: the three choices of the platform's console (section 1.4)."""

    PLAIN = "plain"
    COMPATIBLE = "compatible"
    SAFE = "safe"


@dataclass(frozen=True, kw_only=True)
class Credentials:
    """The credentials of one account, validated on creation.

    `tokens` and `aes_keys` start with the current one; the others stay accepted during a change
    (section 2.6). The repr contains no secrets.

    :raises CredentialsError: with all problems, if a value is missing or malformed.
    """

    tokens: tuple[str, ...] = field(repr=False)
    mode: Mode = Mode.PLAIN
    app_id: str = ""
    app_secret: str = field(default="", repr=False)
    aes_keys: tuple[str, ...] = field(default=(), repr=False)

    def __post_init__(self) -> None:
        problems = []
        if not self.tokens:
            problems.append("WECHAT_TOKEN is missing: choose 3 to 32 letters and digits.")
        elif not all(re.fullmatch(r"[A-Za-z0-9]{3,32}", token) for token in self.tokens):
            problems.append("WECHAT_TOKEN must be 3 to 32 letters and digits.")
        if self.app_id and not re.fullmatch(r"wx[0-9a-f]{16}", self.app_id):
            problems.append(
                "WECHAT_APP_ID must be wx and 16 hex digits: copy it from the platform's console."
            )
        if not all(is_key(key) for key in self.aes_keys):
            problems.append("WECHAT_ENCODING_AES_KEY must be 43 letters and digits.")
        if self.mode is not Mode.PLAIN and not (self.aes_keys and self.app_id):
            problems.append(
                f"WECHAT_MESSAGE_MODE is {self.mode}, which needs WECHAT_ENCODING_AES_KEY and WECHAT_APP_ID:"
                " set both, or choose plain."
            )
        if problems:
            raise CredentialsError(problems)
