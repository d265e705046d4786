"""API calls for quotas, IP addresses, the callback check and other diagnostics (``wechat-platform.md``
sections 1.10, 6.1, 6.6, 6.8, 7.17 and 7.22)."""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import APIError
from ._http import Http
from .menu import NewsInfo
from .values import Records, convert, convert_field

_CLEAR_QUOTA = "/cgi-bin/clear_quota/v2"
_MISSING = {41002, 41004}
"""Errcodes for a body without AppID or AppSecret."""


@dataclass(frozen=True)
class Resolved:
    ip: str = ""
    real_operator: str = ""


@dataclass(frozen=True)
class Ping:
    """The result of a ping. `package_loss` is like "0%", `time` like "23.079ms"."""

    ip: str = ""
    from_operator: str = ""
    package_loss: str = ""
    time: str = ""


@dataclass(frozen=True)
class CallbackCheck:
    """The result of the platform's DNS and ping checks of the callback's host."""

    dns: tuple[Resolved, ...] = ()
    ping: tuple[Ping, ...] = ()


@dataclass(frozen=True)
class DailyQuota:
    daily_limit: int = 0
    used: int = 0
    remain: int = 0


@dataclass(frozen=True)
class RateLimit:
    """At most `call_count` calls in `refresh_second` seconds."""

    call_count: int = 0
    refresh_second: int = 0


@dataclass(frozen=True)
class Quota:
    quota: DailyQuota = DailyQuota()
    rate_limit: RateLimit = RateLimit()
    component_rate_limit: RateLimit = RateLimit()


@dataclass(frozen=True)
class FailedCall:
    """The platform's record of a failed call; `invoke_time` is Unix time in seconds."""

    invoke_time: int = 0
    cost_in_ms: int = 0
    request_url: str = ""
    request_body: str = ""
    response_body: str = ""
    client_ip: str = ""


@dataclass(frozen=True)
class AutoReply:
    type: str = ""
    content: str = ""


@dataclass(frozen=True)
class RuleKeyword:
    """A keyword of a rule; `match_mode` is contain or equal."""

    type: str = ""
    match_mode: str = ""
    content: str = ""


@dataclass(frozen=True)
class RuleReply:
    type: str = ""
    content: str = ""
    news_info: tuple[NewsInfo, ...] = ()


@dataclass(frozen=True)
class Rule:
    """A keyword rule. `reply_mode` is reply_all or random_one; `create_time` is Unix time in seconds."""

    rule_name: str = ""
    create_time: int = 0
    reply_mode: str = ""
    keyword_list_info: tuple[RuleKeyword, ...] = ()
    reply_list_info: tuple[RuleReply, ...] = ()


@dataclass(frozen=True)
class AutoReplies:
    """The automatic replies that are set in the platform's console."""

    is_add_friend_reply_open: bool = False
    is_autoreply_open: bool = False
    add_friend_autoreply_info: AutoReply = AutoReply()
    message_default_autoreply_info: AutoReply = AutoReply()
    keyword_autoreply_info: Records[Rule] = Records()


class System:
    def __init__(self, http: Http) -> None:
        self._http = http

    def replace_token(self) -> None:
        """Fetch a new access token and invalidate the current one at once, for example because it leaked.

        This is possible 20 times a day, 30 seconds apart (section 6.1, stable_token with force_refresh).
        """
        self._http.replace_token()

    def callback_ips(self) -> Records[str]:
        """Return the addresses and networks that send pushes (section 6.8, getcallbackip)."""
        return self._ips("/cgi-bin/getcallbackip")

    def api_domain_ips(self) -> Records[str]:
        """Return the addresses and networks of the API (section 6.8, get_api_domain_ip)."""
        return self._ips("/cgi-bin/get_api_domain_ip")

    def check_callback(self, action: str = "all", check_operator: str = "DEFAULT") -> CallbackCheck:
        """Let the platform resolve and ping the callback's host (section 1.10, callback/check)."""
        body = {"action": action, "check_operator": check_operator}
        return convert(CallbackCheck, self._http.post("/cgi-bin/callback/check", body, idempotent=True))

    def clear_quota(self) -> None:
        """Reset the daily quotas of all APIs; possible 10 times a month (section 6.6, clear_quota)."""
        self._http.post("/cgi-bin/clear_quota", {"appid": self._http.credentials.app_id})
        self._http.clear_rate_limits()

    def clear_quota_without_token(self) -> None:
        """Reset the daily quotas of all APIs without an access token (section 6.6, clear_quota/v2).

        The sources disagree about where the credentials are. They are sent in the body, and in the query only
        if the platform misses them.
        """
        credentials = self._http.credentials
        secret = {"appid": credentials.app_id, "appsecret": credentials.app_secret}
        try:
            self._http.open(_CLEAR_QUOTA, body=secret)
        except APIError as error:
            if error.errcode not in _MISSING:
                raise
            self._http.open(_CLEAR_QUOTA, secret, body={})
        self._http.clear_rate_limits()

    def clear_quota_of(self, cgi_path: str) -> None:
        """Reset the daily quota of one API; possible 50 times a month (section 6.6, openapi/quota/clear)."""
        self._http.post("/cgi-bin/openapi/quota/clear", {"cgi_path": cgi_path})
        self._http.clear_rate_limits()

    def resume(self) -> None:
        """Allow calls again whose quota was used up, after another client has cleared the quotas."""
        self._http.clear_rate_limits()

    def quota(self, cgi_path: str) -> Quota:
        """Return the quotas of an API (section 6.6, openapi/quota/get)."""
        body = {"cgi_path": cgi_path}
        return convert(Quota, self._http.post("/cgi-bin/openapi/quota/get", body, idempotent=True))

    def failed_call(self, rid: str) -> FailedCall:
        """Return the record of a failed call of the last 7 days (section 7.22, openapi/rid/get)."""
        answer = self._http.post("/cgi-bin/openapi/rid/get", {"rid": rid}, idempotent=True)
        return convert(FailedCall, answer.get("request"))

    def auto_replies(self) -> AutoReplies:
        """Return the automatic replies of the console (section 7.17, get_current_autoreply_info)."""
        return convert(AutoReplies, self._http.get("/cgi-bin/get_current_autoreply_info"))

    def _ips(self, path: str) -> Records[str]:
        return convert_field(Records[str], self._http.get(path), "ip_list")
