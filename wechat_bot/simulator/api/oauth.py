"""Authorisation of web pages (section 7.19). Its tokens are of another kind than the API's."""

from __future__ import annotations

from typing import Any

from ..state import OAuthToken
from .call import Answer, Area, Call, Family, Refused, new_secret
from .tokens import check_account

family = Family(Area.OAUTH)

_TOKEN_SECONDS, _REFRESH_SECONDS = 7200, 30 * 86400


@family.get(
    "/sns/oauth2/access_token", {"appid": str, "secret": str, "code": str, "grant_type": str}, token=False
)
def exchange(call: Call) -> Answer:
    query = call.query
    if query["grant_type"] != "authorization_code":
        raise Refused(40002)
    check_account(call, query["appid"], query["secret"])
    code = call.state.codes.get(query["code"])
    if code is None:
        raise Refused(40029)
    if code.used:
        raise Refused(40163)
    if call.now >= code.ends:
        raise Refused(42003)
    code.used = True
    token = OAuthToken(code.openid, code.scope, new_secret(), 0, call.now + _REFRESH_SECONDS)
    return _issue(call, token)


@family.get("/sns/oauth2/refresh_token", {"appid": str, "grant_type": str, "refresh_token": str}, token=False)
def refresh(call: Call) -> Answer:
    query, tokens = call.query, call.state.oauth_tokens
    if query["appid"] != call.credentials.app_id:
        raise Refused(40013)
    if query["grant_type"] != "refresh_token":
        raise Refused(40002)
    value = next((v for v, t in tokens.items() if t.refresh_token == query["refresh_token"]), None)
    if value is None:
        raise Refused(40030)
    if call.now >= tokens[value].refresh_ends:
        raise Refused(42002)
    return _issue(call, tokens.pop(value))


def _issue(call: Call, token: OAuthToken) -> Answer:
    value = new_secret()
    token.ends = call.now + _TOKEN_SECONDS
    call.state.oauth_tokens[value] = token
    answer: dict[str, Any] = {
        "access_token": value,
        "expires_in": _TOKEN_SECONDS,
        "refresh_token": token.refresh_token,
        "openid": token.openid,
        "scope": token.scope,
    }
    return answer


_USER = {"access_token": str, "openid": str}


def _token(call: Call) -> OAuthToken:
    token = call.state.oauth_tokens.get(call.query["access_token"])
    if token is None:
        raise Refused(40001)
    if call.now >= token.ends:
        raise Refused(42001)
    if call.query["openid"] != token.openid:
        raise Refused(40003)
    return token


@family.get("/sns/userinfo", {**_USER, "lang?": str}, token=False)
def user(call: Call) -> Answer:
    """Region and sex are empty since 2021-10-20."""
    token = _token(call)
    if token.scope != "snsapi_userinfo":
        raise Refused(48001)
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
def check_token(call: Call) -> Answer:
    _token(call)
    return None
