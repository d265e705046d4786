"""OAuth, JS-SDK, QR codes, short keys, statistics, the account (sections 1.10, 6.8, 7.14 to 7.20)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conftest import APP_ID, APP_SECRET
from tests.simulator.conftest import NOON, OK, Caller, make_caller
from wechat_bot.testing import SimulatedAccount
from wechat_bot.wechat.account_kinds import AccountKind

# OAuth


def exchange(caller: Caller, code: str, changes: dict[str, str] | None = None) -> Any:
    query = {"appid": APP_ID, "secret": APP_SECRET, "code": code, "grant_type": "authorization_code"}
    return caller.http.get("/sns/oauth2/access_token", params=query | (changes or {})).json()


def test_a_code_is_good_for_one_token(caller: Caller) -> None:
    code = caller.api.authorise("o1")
    token = exchange(caller, code)
    assert token.keys() == {"access_token", "expires_in", "refresh_token", "openid", "scope"}
    assert (token["openid"], token["scope"], token["expires_in"]) == ("o1", "snsapi_base", 7200)
    assert exchange(caller, code)["errcode"] == 40163
    late = caller.api.authorise("o1")
    caller.api.advance(300)
    assert exchange(caller, late)["errcode"] == 42003


@pytest.mark.parametrize(
    ("changes", "errcode"),
    [
        ({"code": "none"}, 40029),
        ({"code": ""}, 41008),
        ({"appid": "wx0000000000000000"}, 40013),
        ({"secret": "f" * 32}, 40001),
        ({"grant_type": "client_credential"}, 40002),
    ],
    ids=str,
)
def test_no_token_without_the_right_code(caller: Caller, changes: dict[str, str], errcode: int) -> None:
    assert exchange(caller, caller.api.authorise("o1"), changes)["errcode"] == errcode


def user(caller: Caller, token: str, openid: str = "o1") -> Any:
    query = {"access_token": token, "openid": openid, "lang": "zh_CN"}
    return caller.http.get("/sns/userinfo", params=query).json()


def test_the_nickname_requires_the_scope_userinfo(caller: Caller) -> None:
    base = exchange(caller, caller.api.authorise("o1"))["access_token"]
    assert user(caller, base)["errcode"] == 48001
    token = exchange(caller, caller.api.authorise("o1", "snsapi_userinfo"))["access_token"]
    assert user(caller, token)["nickname"] == "微信用户"
    assert user(caller, token, "o2")["errcode"] == 40003
    assert user(caller, caller.token)["errcode"] == 40001
    caller.api.advance(7200)
    assert user(caller, token)["errcode"] == 42001


def test_a_token_is_renewed_for_30_days(caller: Caller) -> None:
    first = exchange(caller, caller.api.authorise("o1"))
    query = {"appid": APP_ID, "grant_type": "refresh_token", "refresh_token": first["refresh_token"]}

    def refresh(**changes: str) -> Any:
        return caller.http.get("/sns/oauth2/refresh_token", params=query | changes).json()

    caller.api.advance(30 * 86400 - 1)
    second = refresh()["access_token"]
    auth = {"access_token": second, "openid": "o1"}
    assert caller.http.get("/sns/auth", params=auth).json() == OK
    auth["access_token"] = first["access_token"]
    assert caller.http.get("/sns/auth", params=auth).json()["errcode"] == 40001
    assert refresh(refresh_token="none")["errcode"] == 40030
    assert refresh(refresh_token="")["errcode"] == 41003
    caller.api.advance(1)
    assert refresh()["errcode"] == 42002


def test_an_account_without_oauth_gets_no_token() -> None:
    caller = make_caller(SimulatedAccount(kind=AccountKind.VERIFIED_SUBSCRIPTION))
    assert exchange(caller, caller.api.authorise("o1"))["errcode"] == 48001


# JS-SDK


def test_a_ticket_is_the_same_for_two_hours(caller: Caller) -> None:
    path = "/cgi-bin/ticket/getticket"
    first = caller.get(path, type="jsapi")
    assert (first["errcode"], first["expires_in"]) == (0, 7200)
    caller.api.advance(7100)
    caller.token = caller.new_token()
    second = caller.get(path, type="jsapi")
    assert (second["ticket"], second["expires_in"]) == (first["ticket"], 100)
    assert caller.get(path, type="wx_card")["ticket"] != first["ticket"]
    caller.api.advance(100)
    assert caller.get(path, type="jsapi")["ticket"] != first["ticket"]
    assert caller.get(path, type="other")["errcode"] == 40097


# QR codes

CREATE = "/cgi-bin/qrcode/create"


def code(name: str, **more: Any) -> dict[str, Any]:
    seconds = {"expire_seconds": more.pop("seconds")} if "seconds" in more else {}
    return {"action_name": name, "action_info": {"scene": more}, **seconds}


@pytest.mark.parametrize(
    ("body", "errcode"),
    [
        (code("QR_SCENE", scene_id=1), 0),
        (code("QR_SCENE", scene_id=2**32 - 1), 0),
        (code("QR_SCENE", scene_id=2**32), 40129),
        (code("QR_SCENE", scene_id=0), 40129),
        (code("QR_SCENE", scene_str="x"), 40129),
        (code("QR_STR_SCENE", scene_str="x" * 64), 0),
        (code("QR_STR_SCENE", scene_str="x" * 65), 40129),
        (code("QR_STR_SCENE", scene_str=""), 40129),
        (code("QR_LIMIT_SCENE", scene_id=100_000), 0),
        (code("QR_LIMIT_SCENE", scene_id=100_001), 40129),
        (code("QR_LIMIT_STR_SCENE", scene_str="counter-7"), 0),
        (code("QR_SCENE", scene_id=1, seconds=2_592_000), 0),
        (code("QR_SCENE", scene_id=1, seconds=2_592_001), 40097),
        (code("QR_OTHER", scene_id=1), 40035),
    ],
    ids=lambda value: str(value)[:90],
)
def test_a_code_has_its_limits(caller: Caller, body: dict[str, Any], errcode: int) -> None:
    answer = caller.post(CREATE, body)
    assert answer.get("errcode", 0) == errcode
    if not errcode:
        temporary = {"expire_seconds"} if "LIMIT" not in body["action_name"] else set()
        assert answer.keys() == {"ticket", "url"} | temporary


def show(caller: Caller, ticket: str) -> int:
    return caller.http.get("/cgi-bin/showqrcode", params={"ticket": ticket}).status_code


def test_a_temporary_code_ends_and_a_permanent_one_stays(caller: Caller) -> None:
    temporary = caller.post(CREATE, code("QR_STR_SCENE", scene_str="x"))
    assert temporary["expire_seconds"] == 60
    permanent = caller.post(CREATE, code("QR_LIMIT_STR_SCENE", scene_str="x"))
    assert caller.post(CREATE, code("QR_LIMIT_STR_SCENE", scene_str="x")) == permanent
    assert [show(caller, answer["ticket"]) for answer in (temporary, permanent)] == [200, 200]
    caller.api.advance(60)
    assert [show(caller, answer["ticket"]) for answer in (temporary, permanent)] == [404, 200]
    assert show(caller, "none") == 404


# Short keys


def test_a_short_key_stands_for_long_data_until_it_ends(caller: Caller) -> None:
    gen, fetch = "/cgi-bin/shorten/gen", "/cgi-bin/shorten/fetch"
    key = caller.post(gen, {"long_data": "长" * 1365, "expire_seconds": 60})["short_key"]
    assert len(key) == 15
    caller.api.advance(59)
    found = caller.post(fetch, {"short_key": key})
    assert found["long_data"] == "长" * 1365
    assert (found["create_time"], found["expire_seconds"]) == (int(NOON), 1)
    caller.api.advance(1)
    assert caller.errcode(fetch, {"short_key": key}) == 9410012
    assert caller.errcode(fetch, {"short_key": "none"}) == 9410011
    assert caller.errcode(fetch, {"short_key": ""}) == 9410010
    assert caller.errcode(gen, {"long_data": ""}) == 9410010
    assert caller.errcode(gen, {"long_data": "长" * 1366}) == 9410011


# Statistics


@pytest.mark.parametrize(
    ("name", "begin", "end", "errcode"),
    [
        ("getusersummary", "2025-12-25", "2025-12-31", 0),
        ("getusersummary", "2025-12-24", "2025-12-31", 61501),
        ("getusersummary", "2025-12-31", "2025-12-30", 61501),
        ("getusersummary", "2014-11-30", "2014-12-01", 61501),
        ("getusersummary", "2026-01-01", "2026-01-01", 61503),
        ("getusersummary", "20251231", "2025-12-31", 61500),
        ("getusersummary", "gestern", "2025-12-31", 61500),
        ("getinterfacesummary", "2025-12-02", "2025-12-31", 0),
        ("getinterfacesummaryhour", "2025-12-30", "2025-12-31", 61501),
        ("getupstreammsgdist", "2025-12-17", "2025-12-31", 0),
        ("getbizsummary", "2025-12-31", "2025-12-31", 0),
    ],
)
def test_statistics_are_of_complete_days(
    caller: Caller, name: str, begin: str, end: str, errcode: int
) -> None:
    answer = caller.post(f"/datacube/{name}", {"begin_date": begin, "end_date": end})
    assert answer.get("errcode", 0) == errcode
    if not errcode:
        days = [item["ref_date"] for item in answer["list"]]
        assert (days[0], days[-1]) == (begin, end)


def test_yesterday_is_complete_at_eight(caller: Caller) -> None:
    body = {"begin_date": "2026-01-01", "end_date": "2026-01-01"}
    caller.api.advance(20 * 3600 - 1)
    caller.token = caller.new_token()
    assert caller.errcode("/datacube/getusercumulate", body) == 61503
    caller.api.advance(1)
    assert caller.errcode("/datacube/getusercumulate", body) == 0


# The account


def test_the_platform_returns_its_addresses(caller: Caller) -> None:
    for path in ("/cgi-bin/getcallbackip", "/cgi-bin/get_api_domain_ip"):
        assert "127.0.0.1" in caller.get(path)["ip_list"]


CHECK = "/cgi-bin/callback/check"


@pytest.mark.parametrize(
    ("action", "parts"), [("all", {"dns", "ping"}), ("dns", {"dns"}), ("ping", {"ping"})]
)
def test_the_callback_is_looked_up_and_reached(caller: Caller, action: str, parts: set[str]) -> None:
    assert caller.post(CHECK, {"action": action, "check_operator": "DEFAULT"}).keys() == parts


def test_a_check_has_its_limits(caller: Caller) -> None:
    assert caller.errcode(CHECK, {"action": "telnet", "check_operator": "DEFAULT"}) == 40202
    assert caller.errcode(CHECK, {"action": "all", "check_operator": "OTHER"}) == 40203
    caller.state(lambda state: setattr(state.account, "callback_url", ""))
    assert caller.errcode(CHECK, {"action": "all", "check_operator": "DEFAULT"}) == 40201


def test_the_console_has_no_automatic_replies(caller: Caller) -> None:
    info = caller.get("/cgi-bin/get_current_autoreply_info")
    assert (info["is_autoreply_open"], info["keyword_autoreply_info"]) == (0, {"list": []})
