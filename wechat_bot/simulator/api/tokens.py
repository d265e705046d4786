"""Access tokens and quotas (sections 6.1, 6.2 and 6.6)."""

from __future__ import annotations

from hmac import compare_digest

from ..state import PlatformState, SimulatedToken
from .call import OK, Answer, Area, CallRefused, Family, SimulatedCall, new_secret, refuse_if
from .permissions import calls_today, clear_usage, consume_quota, daily_limit

family = Family(Area.ANY)

STABLE = "/cgi-bin/stable_token"


@family.get("/cgi-bin/token", {"grant_type": str, "appid": str, "secret": str}, token=False)
def token(call: SimulatedCall) -> Answer:
    """Issue a new token each time. The previous one stays valid for five minutes."""
    _check_secret(call, call.query)
    for old in call.state.tokens:
        if not old.stable:
            old.ends, old.replaced = min(old.ends, call.now + _overlap(call.state)), True
    return _answer(call, _issue(call, stable=False))


@family.post(STABLE, {"grant_type": str, "appid": str, "secret": str, "force_refresh?": bool}, token=False)
def stable_token(call: SimulatedCall) -> Answer:
    """Return the same token until its last five minutes. force_refresh replaces it at once."""
    _check_secret(call, call.body)
    state = call.state
    valid = [token for token in state.tokens if token.stable and call.now < token.ends]
    if call.body.get("force_refresh"):
        refuse_if(call.now < state.forced_at + 30, 45011)
        consume_quota(state, f"{STABLE} force", call.now, 20, 86400, 45009)
        state.forced_at = call.now
        for old in valid:
            old.ends, old.replaced = call.now, True
    elif valid and call.now <= valid[-1].ends - _overlap(state):
        return _answer(call, valid[-1])
    return _answer(call, _issue(call, stable=True))


def _check_secret(call: SimulatedCall, given: dict[str, str]) -> None:
    refuse_if(given["grant_type"] != "client_credential", 40002)
    check_account(call, given["appid"], given["secret"])
    allowed = call.state.account.allowed_ips
    refuse_if(
        allowed is not None and call.ip not in allowed,
        40164,
        f"invalid ip {call.ip} ipv6 ::ffff:{call.ip}, not in whitelist",
    )


def check_account(call: SimulatedCall, appid: str, secret: str) -> None:
    """Check AppID and AppSecret.

    :raises CallRefused: if they are not those of the account, or the secret is frozen.
    """
    refuse_if(appid != call.credentials.app_id, 40013)
    if not compare_digest(secret.encode(), call.credentials.app_secret.encode()):
        raise CallRefused(40001, "invalid appsecret") if len(secret) == 32 else CallRefused(40125)
    refuse_if(call.state.account.secret_frozen, 40243)


def _overlap(state: PlatformState) -> float:
    """Return the seconds for which old and new token are both valid: five minutes of two hours."""
    return state.account.token_seconds / 24


def _issue(call: SimulatedCall, *, stable: bool) -> SimulatedToken:
    state = call.state
    token = SimulatedToken(new_secret(), stable, call.now + state.account.token_seconds)
    state.tokens = [*state.tokens[-100:], token]
    return token


def _answer(call: SimulatedCall, token: SimulatedToken) -> Answer:
    call.state.token_fetches += 1
    return {"access_token": token.value, "expires_in": round(token.ends - call.now)}


@family.post("/cgi-bin/clear_quota", {"appid": str})
def clear_quota(call: SimulatedCall) -> None:
    refuse_if(call.body["appid"] != call.credentials.app_id, 40013)
    _clear(call, "all", 10)


_SECRET = {"appid?": str, "appsecret?": str}


@family.post("/cgi-bin/clear_quota/v2", _SECRET, _SECRET, token=False)
def clear_quota_by_secret(call: SimulatedCall) -> None:
    """Accept the credentials in the body or the query, about which the sources disagree."""
    given = {**call.query, **call.body}
    refuse_if(not given.get("appid"), 41002)
    refuse_if(not given.get("appsecret"), 41004)
    check_account(call, given["appid"], given["appsecret"])
    _clear(call, "all", 10)


@family.post("/cgi-bin/openapi/quota/clear", {"cgi_path": str})
def clear_one(call: SimulatedCall) -> None:
    _clear(call, "one", 50, _known_path(call))


def _clear(call: SimulatedCall, kind: str, limit: int, path: str = "") -> None:
    key = f"{kind} {call.month}"
    refuse_if(call.state.cleared.get(key, 0) >= limit, 48006)
    call.state.cleared[key] = call.state.cleared.get(key, 0) + 1
    clear_usage(call.state, path)


@family.post("/cgi-bin/openapi/quota/get", {"cgi_path": str})
def get_quota(call: SimulatedCall) -> Answer:
    path = _known_path(call)
    limit, used = daily_limit(path, call.state.account.kind), calls_today(call.state, path, call.now)
    return {
        **OK,
        "quota": {"daily_limit": limit, "used": used, "remain": limit - used},
        "rate_limit": {"call_count": 10_000, "refresh_second": 60},
    }


def _known_path(call: SimulatedCall) -> str:
    path: str = call.body["cgi_path"]
    refuse_if(path not in call.paths or path.startswith("/sns/"), 76021)
    return path
