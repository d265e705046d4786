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
        │   └── TooLarge                it is longer than the caller takes
        ├── InvalidToken            40001, 40014, 42001: fetch another token
        ├── CredentialsRefused      40013, 40125, 40243: correct AppID or AppSecret
        ├── NotWhitelisted          40164: enter this machine's IP address in the platform's console
        ├── NotConfirmed            89501, 89503, …: the account's administrator must agree
        ├── Forbidden               48001: this account may not use this API, ever
        ├── Restricted              48004, 50002, …: a penalty; see the platform's console
        ├── NotFollowing            40003, 43004, 43019, 48002, …: this user cannot be reached, give up
        ├── WindowClosed            45015, 45047: wait for the follower's next message
        ├── AuthorizationEnded      40029, 40163, 42007, …: send the user through OAuth again
        ├── NotFound                40007, 46003, …: what the call names is gone; make it again
        ├── QuotaUsedUp             45009, …: stop until the quota is reset
        ├── TooFrequent             45011, …: wait a minute
        └── Busy                    -1, …: try again later
"""

from __future__ import annotations

from enum import StrEnum


class WeChatError(Exception):
    """The root of the tree above."""


class CredentialsError(WeChatError, ValueError):
    """Tokens, keys, app id or mode cannot be right; `problems` say which, and how to correct each."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__(" ".join(problems))
        self.problems = problems


class InvalidReply(WeChatError, ValueError):
    """A reply that the platform would answer with its failure notice."""


class Refusal(StrEnum):
    """Why a request to the callback is refused."""

    NOT_SIGNED = "not_signed"
    """Parameters are missing: a stray visitor."""
    BAD_SIGNATURE = "bad_signature"
    OLD_TIMESTAMP = "old_timestamp"
    PLAIN_IN_SAFE_MODE = "plain_in_safe_mode"
    ENCRYPTED_WITHOUT_KEY = "encrypted_without_key"
    WRONG_KEY = "wrong_key"
    WRONG_APP_ID = "wrong_app_id"
    MALFORMED = "malformed"
    """Signed, but not a message, or no longer."""
    TOO_LARGE = "too_large"
    WRONG_PATH = "wrong_path"
    """Signed, but sent to where nobody listens."""


class WebhookError(WeChatError):
    """A refused request. The message is for the log, never for the caller; `detail` is what to remember of
    it. Neither has secrets or what followers wrote."""

    cause: Refusal

    def __init__(self, message: str, cause: Refusal | None = None, detail: str = "") -> None:
        super().__init__(message)
        self.cause = cause or self.cause
        self.detail = detail or message


class InvalidSignature(WebhookError):
    """Signature or time stamp are missing, repeated, wrong or too old."""

    cause = Refusal.BAD_SIGNATURE


class InvalidCiphertext(WebhookError):
    """Not encrypted as the mode demands, or not by someone who has the key and knows the app id."""

    cause = Refusal.WRONG_KEY


class MalformedMessage(WebhookError):
    """Genuine, but not a message."""

    cause = Refusal.MALFORMED


class APIError(WeChatError):
    """A call of the platform's API failed.

    `errcode` and `errmsg` are the platform's own (``wechat-platform.md`` section 8; `errcodes.explain`), or
    0 and a description where there was no answer.
    """

    def __init__(self, errcode: int, errmsg: str) -> None:
        super().__init__(f"{errcode} {errmsg}" if errcode else errmsg)
        self.errcode = errcode
        self.errmsg = errmsg


class Unreachable(APIError):
    """No usable answer. `delivered` is False only when the platform cannot have received the call;
    `status` is that of the HTTP answer, 0 if there was none."""

    def __init__(self, errmsg: str, *, delivered: bool, status: int = 0) -> None:
        super().__init__(0, errmsg)
        self.delivered = delivered
        self.status = status


class TooLarge(Unreachable):
    """An answer of more bytes than the caller takes."""


class InvalidToken(APIError):
    """The access token was replaced or has expired."""


class CredentialsRefused(APIError):
    """AppID or AppSecret are wrong or frozen."""


class NotWhitelisted(APIError):
    """This machine's IP address, named in `errmsg`, may not ask for access tokens (section 6.2)."""


class NotConfirmed(APIError):
    """The account's administrator has yet to agree, or refused."""


class Forbidden(APIError):
    """The account lacks this API (unverified or of the wrong kind)."""


class Restricted(APIError):
    """The platform has banned the account, or this API for it."""


class NotFollowing(APIError):
    """Whoever the call names does not follow, refuses messages, or is on the blacklist."""


class WindowClosed(APIError):
    """The follower's last message is too old, or the messages that it allowed are used up."""


class AuthorizationEnded(APIError):
    """A code or token of OAuth is used up or has expired."""


class NotFound(APIError):
    """The media file, menu or user does not exist, or no longer."""


class QuotaUsedUp(APIError):
    """No call of this API is left. Daily quotas are reset at midnight, Beijing time (section 6.6)."""


class TooFrequent(APIError):
    """More calls within a minute than the platform allows."""


class Busy(APIError):
    """The platform asks to try again."""


_ERRCODES: dict[type[APIError], tuple[int, ...]] = {
    InvalidToken: (40001, 40014, 42001),
    CredentialsRefused: (40013, 40125, 40243),
    NotWhitelisted: (40164,),
    NotConfirmed: (89501, 89503, 89504, 89505, 89506, 89507),
    Forbidden: (48001,),
    Restricted: (48004, 50002, 50004, 50007, 70000),
    NotFollowing: (40003, 43004, 43005, 43019, 43101, 48002, 49003, 50005),
    WindowClosed: (45015, 45047),
    AuthorizationEnded: (40029, 40030, 40163, 42002, 42003, 42007),
    NotFound: (40007, 46001, 46002, 46003, 46004),
    QuotaUsedUp: (43100, 45009, 45028, 48006),
    TooFrequent: (42010, 45011, 45061, 45066),
    Busy: (-1, 61450, 268487001, 268487002, 268488001),
}

_BY_ERRCODE = {errcode: kind for kind, errcodes in _ERRCODES.items() for errcode in errcodes}


def api_error(errcode: int, errmsg: str) -> APIError:
    """The error that an answer with `errcode` means."""
    return _BY_ERRCODE.get(errcode, APIError)(errcode, errmsg)
