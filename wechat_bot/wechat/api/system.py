"""The account and the API themselves (``wechat-platform.md`` sections 1.10, 6.1, 6.6, 6.8, 7.17 and 7.22)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ._http import Http
from .values import read


@dataclass(frozen=True)
class Resolved:
    ip: str = ""
    real_operator: str = ""


@dataclass(frozen=True)
class Ping:
    """`package_loss` is like "0%", `time` like "23.079ms"."""

    ip: str = ""
    from_operator: str = ""
    package_loss: str = ""
    time: str = ""


@dataclass(frozen=True)
class CallbackCheck:
    """What the platform sees of our callback's host."""

    dns: tuple[Resolved, ...] = ()
    ping: tuple[Ping, ...] = ()


@dataclass(frozen=True)
class DailyQuota:
    daily_limit: int = 0
    used: int = 0
    remain: int = 0


@dataclass(frozen=True)
class RateLimit:
    """`call_count` calls in `refresh_second` seconds."""

    call_count: int = 0
    refresh_second: int = 0


@dataclass(frozen=True)
class Quota:
    quota: DailyQuota = DailyQuota()
    rate_limit: RateLimit = RateLimit()
    component_rate_limit: RateLimit = RateLimit()


@dataclass(frozen=True)
class FailedCall:
    """What the platform kept of a call: `invoke_time` in seconds since 1970."""

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
    """`match_mode` is contain or equal."""

    type: str = ""
    match_mode: str = ""
    content: str = ""


@dataclass(frozen=True)
class RuleReply:
    type: str = ""
    content: str = ""
    news_info: dict[str, Any] | None = None


@dataclass(frozen=True)
class Rule:
    """`reply_mode` is reply_all or random_one; `create_time` is in seconds since 1970."""

    rule_name: str = ""
    create_time: int = 0
    reply_mode: str = ""
    keyword_list_info: tuple[RuleKeyword, ...] = ()
    reply_list_info: tuple[RuleReply, ...] = ()


@dataclass(frozen=True)
class AutoReplies:
    """What the platform's console answers by itself."""

    is_add_friend_reply_open: bool = False
    is_autoreply_open: bool = False
    add_friend_autoreply_info: AutoReply = AutoReply()
    message_default_autoreply_info: AutoReply = AutoReply()
    keyword_autoreply_info: tuple[Rule, ...] = ()


class System:
    def __init__(self, http: Http) -> None:
        self._http = http

    def replace_token(self) -> None:
        """Another access token, because the present one has leaked: that one is invalid at once, for all who
        use it. 20 times a day, 30 s apart (section 6.1, stable_token with force_refresh)."""
        self._http.replace_token()

    def callback_ips(self) -> tuple[str, ...]:
        """Addresses and networks that pushes come from (section 6.8, getcallbackip)."""
        return self._ips("/cgi-bin/getcallbackip")

    def api_domain_ips(self) -> tuple[str, ...]:
        """Addresses and networks of the API (section 6.8, get_api_domain_ip)."""
        return self._ips("/cgi-bin/get_api_domain_ip")

    def check_callback(self, action: str = "all", check_operator: str = "DEFAULT") -> CallbackCheck:
        """Let the platform look up and ping our callback's host (section 1.10, callback/check)."""
        body = {"action": action, "check_operator": check_operator}
        return read(CallbackCheck, self._http.post("/cgi-bin/callback/check", body, idempotent=True))

    def clear_quota(self) -> None:
        """Give all APIs their quota of the day again, 10 times a month (section 6.6, clear_quota)."""
        self._http.post("/cgi-bin/clear_quota", {"appid": self._http.credentials.app_id})
        self._http.lift_stops()

    def clear_quota_without_token(self) -> None:
        """The same where no access token is to be had (section 6.6, clear_quota/v2)."""
        credentials = self._http.credentials
        body = {"appid": credentials.app_id, "appsecret": credentials.app_secret}
        self._http.open("/cgi-bin/clear_quota/v2", body=body)
        self._http.lift_stops()

    def clear_quota_of(self, cgi_path: str) -> None:
        """Give one API its quota of the day again, 50 times a month (section 6.6, openapi/quota/clear)."""
        self._http.post("/cgi-bin/openapi/quota/clear", {"cgi_path": cgi_path})
        self._http.lift_stops()

    def quota(self, cgi_path: str) -> Quota:
        """What is left of an API today (section 6.6, openapi/quota/get)."""
        body = {"cgi_path": cgi_path}
        return read(Quota, self._http.post("/cgi-bin/openapi/quota/get", body, idempotent=True))

    def failed_call(self, rid: str) -> FailedCall:
        """What the platform knows of a failed call of the last 7 days (section 7.22, openapi/rid/get)."""
        answer = self._http.post("/cgi-bin/openapi/rid/get", {"rid": rid}, idempotent=True)
        return read(FailedCall, answer.get("request"))

    def auto_replies(self) -> AutoReplies:
        """The rules of the platform's console (section 7.17, get_current_autoreply_info)."""
        return read(AutoReplies, self._http.get("/cgi-bin/get_current_autoreply_info"))

    def _ips(self, path: str) -> tuple[str, ...]:
        return read(tuple[str, ...], self._http.get(path).get("ip_list"), "ip_list")
