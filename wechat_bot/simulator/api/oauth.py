"""OAuth authorization of web pages (section 7.19). Its access tokens are not those of the API."""

from __future__ import annotations

from ..state import OAuthToken
from .call import Answer, Area, CallRefused, Family, SimulatedCall, find, new_secret, refuse_if
from .tokens import check_account

family = Family(Area.OAUTH)

_TOKEN_SECONDS, _REFRESH_SECONDS = 7200, 30 * 86400


@family.get(
    "/sns/oauth2/access_token", {"appid": str, "secret": str, "code": str, "grant_type": str}, token=False
)
def exchange(call: SimulatedCall) -> Answer:
    query = call.query
    refuse_if(query["grant_type"] != "authorization_code", 40002)
    check_account(call, query["appid"], query["secret"])
    code = call.state.codes.get(query["code"])
    if code is None:
        raise CallRefused(40029)
    refuse_if(code.used, 40163)
    refuse_if(call.now >= code.ends, 42003)
    code.used = True
    token = OAuthToken(code.openid, code.scope, new_secret(), 0, call.now + _REFRESH_SECONDS)
    return _issue(call, token)


@family.get("/sns/oauth2/refresh_token", {"appid": str, "grant_type": str, "refresh_token": str}, token=False)
def refresh(call: SimulatedCall) -> Answer:
    query, tokens = call.query, call.state.oauth_tokens
    refuse_if(query["appid"] != call.credentials.app_id, 40013)
    refuse_if(query["grant_type"] != "refresh_token", 40002)
    value = find((v for v, t in tokens.items() if t.refresh_token == query["refresh_token"]), 40030)
    refuse_if(call.now >= tokens[value].refresh_ends, 42002)
    return _issue(call, tokens.pop(value))


def _issue(call: SimulatedCall, token: OAuthToken) -> Answer:
    value = new_secret()
    token.ends = call.now + _TOKEN_SECONDS
    call.state.oauth_tokens[value] = token
    return {
        "access_token": value,
        "expires_in": _TOKEN_SECONDS,
        "refresh_token": token.refresh_token,
        "openid": token.openid,
        "scope": token.scope,
    }


_USER = {"access_token": str, "openid": str}


def _token(call: SimulatedCall) -> OAuthToken:
    token = call.state.oauth_tokens.get(call.query["access_token"])
    if token is None:
        raise CallRefused(40001)
    refuse_if(call.now >= token.ends, 42001)
    refuse_if(call.query["openid"] != token.openid, 40003)
    return token


@family.get("/sns/userinfo", {**_USER, "lang?": str}, token=False)
def user(call: SimulatedCall) -> Answer:
    """Return a profile. Region and sex are empty since 2021-10-20."""
    token = _token(call)
    refuse_if(token.scope != "snsapi_userinfo", 48001)
    follower = call.state.followers.get(token.openid)
    return {
        "openid": token.openid,
        "nickname": follower.nickname if follower else "微信用户",
        "sex": 0,
        "province": "",
        "city": "",
        "country": "",
        "headimgurl": "https://thirdwx.qlogo.cn/mmopen/vi_32/fake/132",
        "privilege": [],
    }


@family.get("/sns/auth", _USER, token=False)
def check_token(call: SimulatedCall) -> None:
    _token(call)
