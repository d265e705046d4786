"""Exceptions of the callback and of the API client, one class for each reaction that a caller may have.

::

    WeChatError
    ├── CredentialsError        the settings of the account are invalid: correct them
    ├── InvalidReply            the platform would refuse this reply: send another one
    ├── WebhookError            a request to the callback is refused
    │   ├── InvalidSignature        it is not from the platform: 403
    │   ├── InvalidCiphertext       it is not encrypted as required or cannot be decrypted: 403
    │   └── MalformedMessage        it is genuine but not a valid message: 400
    └── APIError                a call of the platform's API failed
        ├── Unreachable             no usable response; ``delivered``: whether the call may have arrived
        │   └── TooLarge                the response exceeds the caller's limit
        ├── InvalidToken            40001, 40014, 42001: fetch a new token
        ├── CredentialsRefused      40013, 40125, 40243: correct AppID or AppSecret
        ├── NotWhitelisted          40164: add this machine's IP address in the platform's console
        ├── NotConfirmed            89501, 89503, …: the account's administrator must confirm
        ├── Forbidden               48001: the account lacks this API; do not retry
        ├── Restricted              48004, 50002, …: a penalty; see the platform's console
        ├── NotFollowing            40003, 43004, 43019, 48002, …: this user cannot be reached; do not retry
        ├── WindowClosed            45015, 45047: wait for the follower's next message
        ├── AuthorizationEnded      40029, 40163, 42007, …: send the user through OAuth again
        ├── NotFound                40007, 46003, …: the object no longer exists; create it again
        ├── QuotaUsedUp             45009, …: stop until the quota is reset
        ├── TooFrequent             45011, …: wait a minute
        └── Busy                    -1, …: try again later
"""

from __future__ import annotations

from enum import StrEnum


class WeChatError(Exception):
    """Base class of all exceptions of this package."""


class CredentialsError(WeChatError, ValueError):
    """Tokens, keys, AppID or mode are invalid. Each of `problems` names a setting and its correction."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__(" ".join(problems))
        self.problems = problems


class InvalidReply(WeChatError, ValueError):
    """A reply for which the platform would show the follower its failure notice."""


class Refusal(StrEnum):
    """Why a request to the callback is refused."""

    NOT_SIGNED = "not_signed"
    """A parameter is missing or repeated; usually the request of a scanner or a visitor."""
    BAD_SIGNATURE = "bad_signature"
    OLD_TIMESTAMP = "old_timestamp"
    PLAIN_IN_SAFE_MODE = "plain_in_safe_mode"
    ENCRYPTED_WITHOUT_KEY = "encrypted_without_key"
    WRONG_KEY = "wrong_key"
    WRONG_APP_ID = "wrong_app_id"
    MALFORMED = "malformed"
    """The request is signed, but its body is not a message or was altered."""
    TOO_LARGE = "too_large"
    WRONG_PATH = "wrong_path"
    """The request is signed, but its path is not that of the callback."""


class WebhookError(WeChatError):
    """A refused request to the callback.

    The message is for the log and must not be sent to the client; `detail` is the part to store. Neither
    contains secrets or messages of followers.
    """

    cause: Refusal

    def __init__(self, message: str, cause: Refusal | None = None, detail: str = "") -> None:
        super().__init__(message)
        self.cause = cause or self.cause
        self.detail = detail or message


class InvalidSignature(WebhookError):
    """Signature or time stamp are missing, repeated, wrong or outdated."""

    cause = Refusal.BAD_SIGNATURE


class InvalidCiphertext(WebhookError):
    """The body is not encrypted as the mode requires, or not with the account's key and AppID."""

    cause = Refusal.WRONG_KEY


class MalformedMessage(WebhookError):
    """The request is genuine, but its body is not a valid message."""

    cause = Refusal.MALFORMED


class APIError(WeChatError):
    """A call of the platform's API failed.

    `errcode` and `errmsg` are the platform's (``wechat-platform.md`` section 8; see `errcodes.explain`), or 0
    and a description if there was no usable response.
    """

    def __init__(self, errcode: int, errmsg: str) -> None:
        super().__init__(f"{errcode} {errmsg}" if errcode else errmsg)
        self.errcode = errcode
        self.errmsg = errmsg


class Unreachable(APIError):
    """There was no usable response.

    `delivered` is False only if the platform cannot have received the call. `status` is the HTTP status, or 0
    if it is not known.
    """

    def __init__(self, errmsg: str, *, delivered: bool, status: int = 0) -> None:
        super().__init__(0, errmsg)
        self.delivered = delivered
        self.status = status


class TooLarge(Unreachable):
    """The response has more bytes than the caller accepts."""


class InvalidToken(APIError):
    """The access token was replaced or has expired."""


class CredentialsRefused(APIError):
    """AppID or AppSecret are wrong or frozen."""


class NotWhitelisted(APIError):
    """This machine's IP address, named in `errmsg`, may not fetch access tokens (section 6.2)."""


class NotConfirmed(APIError):
    """The account's administrator has not confirmed the call yet, or has declined."""


class Forbidden(APIError):
    """The account has no permission for this API: it is unverified or of another kind."""


class Restricted(APIError):
    """The platform has banned the account, or this API for it."""


class NotFollowing(APIError):
    """The user is not a follower, refuses messages, or is on the blacklist."""


class WindowClosed(APIError):
    """The follower's last message is too old, or the number of messages that it permits is used up."""


class AuthorizationEnded(APIError):
    """An OAuth code was used already, or a code or token has expired."""


class NotFound(APIError):
    """The media file, menu, user or article does not exist."""


class QuotaUsedUp(APIError):
    """The quota of this API is used up. Daily quotas are reset at midnight, Beijing time (section 6.6)."""


class TooFrequent(APIError):
    """There were more calls within a minute than the platform allows."""


class Busy(APIError):
    """The platform is temporarily unable to answer; the call may be tried again."""


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
    NotFound: (40007, 46001, 46002, 46003, 46004, 53600),
    QuotaUsedUp: (43100, 45009, 45028, 48006),
    TooFrequent: (42010, 45011, 45061, 45066),
    Busy: (-1, 61450, 268487001, 268487002, 268488001),
}

_BY_ERRCODE = {errcode: kind for kind, errcodes in _ERRCODES.items() for errcode in errcodes}


def api_error(errcode: int, errmsg: str) -> APIError:
    """Return the exception for a response with `errcode`."""
    return _BY_ERRCODE.get(errcode, APIError)(errcode, errmsg)
