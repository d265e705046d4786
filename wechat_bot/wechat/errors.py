"""Everything that can go wrong with the platform, one class for each thing a caller can do about it.

::

    WeChatError
    ├── CredentialsError        the settings of the account are wrong: correct them
    ├── InvalidReply            the platform would refuse this reply: write another
    ├── WebhookError            a request to the callback is refused
    │   ├── InvalidSignature        it does not come from the platform: 403
    │   ├── InvalidCiphertext       it cannot be trusted or decrypted: 403
    │   └── MalformedMessage        it is genuine and makes no sense: 400
    └── APIError                a call of the platform's API failed
        ├── Unreachable             no answer; ``delivered`` tells whether it may have arrived
        ├── InvalidToken            40001, 40014, 42001: fetch another token
        ├── Forbidden               48001: this account may not use this API, ever
        ├── WindowClosed            45015, 45047, …: wait for the follower's next message
        └── Busy                    -1: try again later
"""

from __future__ import annotations


class WeChatError(Exception):
    """The root of the tree above."""


class CredentialsError(WeChatError, ValueError):
    """Tokens, keys, app id or mode cannot be right; `problems` say which, and how to correct each."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__(" ".join(problems))
        self.problems = problems


class InvalidReply(WeChatError, ValueError):
    """A reply that the platform would answer with its failure notice."""


class WebhookError(WeChatError):
    """A refused request. The message is for the log, never for the caller."""


class InvalidSignature(WebhookError):
    """Signature or time stamp are missing, repeated, wrong or too old."""


class InvalidCiphertext(WebhookError):
    """Not encrypted as the mode demands, or not by someone who has the key and knows the app id."""


class MalformedMessage(WebhookError):
    """Genuine, but not a message."""


class APIError(WeChatError):
    """A call of the platform's API failed.

    `errcode` and `errmsg` are the platform's own (``wechat-platform.md`` section 8), or 0 and a
    description where there was no answer.
    """

    def __init__(self, errcode: int, errmsg: str) -> None:
        super().__init__(f"{errcode} {errmsg}" if errcode else errmsg)
        self.errcode = errcode
        self.errmsg = errmsg


class Unreachable(APIError):
    """No usable answer. `delivered` is False only when the platform cannot have received the call."""

    def __init__(self, errmsg: str, *, delivered: bool) -> None:
        super().__init__(0, errmsg)
        self.delivered = delivered


class InvalidToken(APIError):
    """The access token was replaced or has expired."""


class Forbidden(APIError):
    """The account lacks this API (unverified or of the wrong kind)."""


class WindowClosed(APIError):
    """The follower's last message is too old, or the messages that it allowed are used up."""


class Busy(APIError):
    """The platform asks to try again."""


_BY_ERRCODE: dict[int, type[APIError]] = {
    -1: Busy,
    40001: InvalidToken,
    40014: InvalidToken,
    42001: InvalidToken,
    45015: WindowClosed,
    45047: WindowClosed,
    48001: Forbidden,
}


def api_error(errcode: int, errmsg: str) -> APIError:
    """The error that an answer with `errcode` means."""
    return _BY_ERRCODE.get(errcode, APIError)(errcode, errmsg)
