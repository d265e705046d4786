"""Access tokens and quotas (sections 6.1 to 6.7)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conftest import APP_ID, APP_SECRET
from tests.simulator.conftest import NOON, OK, TOKEN_QUERY, Caller, make_caller
from wechat_bot.testing import SimulatedAccount
from wechat_bot.wechat.account_kinds import AccountKind

TOKEN = "/cgi-bin/token"
STABLE = "/cgi-bin/stable_token"
USERS = "/cgi-bin/user/get"


def issue(caller: Caller) -> str:
    """Get a token from the endpoint that issues a new one each time."""
    return str(caller.http.get(TOKEN, params=TOKEN_QUERY).json()["access_token"])


def force(caller: Caller) -> Any:
    return caller.http.post(STABLE, json=TOKEN_QUERY | {"force_refresh": True}).json()


def errcode_with(caller: Caller, token: str) -> int:
    return int(caller.http.get(USERS, params={"access_token": token}).json().get("errcode", 0))


def test_a_stable_token_is_the_same_until_its_last_five_minutes(caller: Caller) -> None:
    caller.clock.now += 6900
    assert caller.http.post(STABLE, json=TOKEN_QUERY).json() == {
        "access_token": caller.token,
        "expires_in": 300,
    }
    caller.clock.now += 1
    new = caller.new_token()
    assert new != caller.token
    assert [errcode_with(caller, token) for token in (caller.token, new)] == [0, 0]
    caller.clock.now += 299
    assert [errcode_with(caller, token) for token in (caller.token, new)] == [42001, 0]


def test_each_call_of_the_other_endpoint_replaces_its_own_token_after_five_minutes(caller: Caller) -> None:
    first, second = issue(caller), issue(caller)
    assert first != second
    caller.clock.now += 299
    assert errcode_with(caller, first) == 0
    caller.clock.now += 1
    assert [errcode_with(caller, token) for token in (first, second, caller.token)] == [40001, 0, 0]


def test_force_makes_the_old_token_invalid_at_once(caller: Caller) -> None:
    other = issue(caller)
    forced = force(caller)["access_token"]
    assert [errcode_with(caller, token) for token in (caller.token, forced, other)] == [40001, 0, 0]
    assert caller.new_token() == forced


def test_force_is_for_every_30_seconds_and_20_times_a_day(caller: Caller) -> None:
    assert "access_token" in force(caller)
    assert force(caller)["errcode"] == 45011
    for _ in range(19):
        caller.clock.now += 30
        assert "access_token" in force(caller)
    caller.clock.now += 30
    assert force(caller)["errcode"] == 45009
    caller.clock.now = NOON + 12 * 3600
    assert "access_token" in force(caller)


@pytest.mark.parametrize(
    ("token", "errcode"), [("", 41001), ("short", 40014), ("é" * 64, 40014), ("x" * 64, 40001)]
)
def test_a_wrong_token_has_its_errcode(caller: Caller, token: str, errcode: int) -> None:
    assert errcode_with(caller, token) == errcode


def test_a_missing_token_is_a_mistake_of_its_own(caller: Caller) -> None:
    answer = caller.http.get(USERS).json()
    assert answer["errcode"] == 41001
    assert answer["errmsg"].startswith("access_token missing rid: ")


@pytest.mark.parametrize(
    ("changes", "errcode"),
    [
        ({"appid": "wx0000000000000000"}, 40013),
        ({"appid": ""}, 41002),
        ({"secret": "f" * 32}, 40001),
        ({"secret": "f"}, 40125),
        ({"secret": ""}, 41004),
        ({"grant_type": "password"}, 40002),
    ],
    ids=str,
)
def test_no_token_without_the_right_secret(caller: Caller, changes: dict[str, str], errcode: int) -> None:
    assert caller.http.get(TOKEN, params=TOKEN_QUERY | changes).json()["errcode"] == errcode
    assert caller.http.post(STABLE, json=TOKEN_QUERY | changes).json()["errcode"] == errcode
    assert caller.api.token_fetches == 1


def test_the_white_list_names_the_caller_who_is_not_in_it(caller: Caller) -> None:
    caller.state(lambda state: setattr(state.account, "allowed_ips", ["203.0.113.9"]))
    answer = caller.http.post(STABLE, json=TOKEN_QUERY).json()
    assert answer["errcode"] == 40164
    assert answer["errmsg"].startswith("invalid ip 127.0.0.1 ipv6 ::ffff:127.0.0.1, not in whitelist rid: ")
    assert caller.get(USERS)["total"] == 0


def test_a_frozen_secret_gets_no_token(caller: Caller) -> None:
    caller.state(lambda state: setattr(state.account, "secret_frozen", True))
    assert caller.http.post(STABLE, json=TOKEN_QUERY).json()["errcode"] == 40243


def test_tokens_may_be_short_lived_and_are_counted() -> None:
    caller = make_caller(SimulatedAccount(token_seconds=1))
    assert caller.new_token() == caller.token
    caller.clock.now += 0.97
    second = caller.new_token()
    assert second != caller.token
    assert [errcode_with(caller, token) for token in (caller.token, second)] == [0, 0]
    caller.clock.now += 0.5
    assert [errcode_with(caller, token) for token in (caller.token, second)] == [42001, 0]
    assert caller.api.token_fetches == 3


def test_a_stable_token_is_asked_for_at_most_10_000_times_a_minute(caller: Caller) -> None:
    minute = int(NOON + 8 * 3600) // 60
    caller.state(lambda state: state.used.update({f"{STABLE} 60 {minute}": 10_000}))
    assert caller.http.post(STABLE, json=TOKEN_QUERY).json()["errcode"] == 45011
    caller.clock.now += 60
    assert "access_token" in caller.http.post(STABLE, json=TOKEN_QUERY).json()


def test_all_tokens_can_be_made_invalid(caller: Caller) -> None:
    caller.api.expire_tokens()
    assert errcode_with(caller, caller.token) == 40001


# Quotas


def get_users(caller: Caller, times: int) -> int:
    """Call the API several times, and return the errcode of the last call."""
    return [errcode_with(caller, caller.token) for _ in range(times)][-1]


def test_a_quota_that_is_used_up_comes_back_at_midnight_in_beijing() -> None:
    caller = make_caller(SimulatedAccount(kind=AccountKind.TEST))
    assert get_users(caller, 100) == 0
    assert get_users(caller, 1) == 45009
    caller.api.advance(12 * 3600 - 1)
    caller.token = caller.new_token()
    assert get_users(caller, 1) == 45009
    caller.api.advance(1)
    assert get_users(caller, 1) == 0


def test_quotas_can_be_seen_and_cleared_one_by_one(caller: Caller) -> None:
    get_users(caller, 500)
    quota = caller.post("/cgi-bin/openapi/quota/get", {"cgi_path": USERS})
    assert quota["quota"] == {"daily_limit": 500, "used": 500, "remain": 0}
    assert get_users(caller, 1) == 45009
    assert caller.post("/cgi-bin/openapi/quota/clear", {"cgi_path": USERS}) == OK
    assert get_users(caller, 1) == 0


@pytest.mark.parametrize("path", ["/cgi-bin/nothing", "/sns/userinfo"])
def test_there_is_no_quota_of_other_paths(caller: Caller, path: str) -> None:
    assert caller.errcode("/cgi-bin/openapi/quota/get", {"cgi_path": path}) == 76021
    assert caller.errcode("/cgi-bin/openapi/quota/clear", {"cgi_path": path}) == 76021


def test_all_quotas_are_cleared_ten_times_a_month_by_token_and_by_secret_together(caller: Caller) -> None:
    get_users(caller, 501)
    for _ in range(5):
        assert caller.post("/cgi-bin/clear_quota", {"appid": APP_ID}) == OK
        by_secret = {"appid": APP_ID, "appsecret": APP_SECRET}
        assert caller.http.post("/cgi-bin/clear_quota/v2", json=by_secret).json() == OK
    assert get_users(caller, 1) == 0
    assert caller.errcode("/cgi-bin/clear_quota", {"appid": APP_ID}) == 48006
    caller.api.advance(31 * 86400)
    caller.token = caller.new_token()
    assert caller.errcode("/cgi-bin/clear_quota", {"appid": APP_ID}) == 0


@pytest.mark.parametrize("place", ["json", "params"])
def test_the_secret_that_clears_quotas_is_in_the_body_or_the_query(caller: Caller, place: str) -> None:
    path, secret = "/cgi-bin/clear_quota/v2", {"appid": APP_ID, "appsecret": APP_SECRET}
    given: dict[str, Any] = {"json": {}, place: secret}
    assert caller.http.post(path, **given).json() == OK
    for missing, errcode in (("appid", 41002), ("appsecret", 41004)):
        given[place] = {name: value for name, value in secret.items() if name != missing}
        assert caller.http.post(path, **given).json()["errcode"] == errcode


def test_one_quota_is_cleared_fifty_times_a_month(caller: Caller) -> None:
    errcodes = [caller.errcode("/cgi-bin/openapi/quota/clear", {"cgi_path": USERS}) for _ in range(51)]
    assert errcodes == [0] * 50 + [48006]


def test_quotas_of_another_account_are_not_cleared(caller: Caller) -> None:
    assert caller.errcode("/cgi-bin/clear_quota", {"appid": "wx0000000000000000"}) == 40013
    wrong = {"appid": APP_ID, "appsecret": "f" * 32}
    assert caller.http.post("/cgi-bin/clear_quota/v2", json=wrong).json()["errcode"] == 40001
