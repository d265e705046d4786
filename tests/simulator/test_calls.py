"""Checks of all calls: method, body, fields, permission, and the rid of failed calls."""

from __future__ import annotations

import json
import re

import pytest
from sqlalchemy import Engine

from tests.conftest import APP_SECRET
from tests.simulator.conftest import OK, TOKEN_QUERY, Caller, make_caller
from wechat_bot.database.transactions import transaction
from wechat_bot.simulator.state import to_json
from wechat_bot.testing import SimulatedAccount
from wechat_bot.wechat.account_kinds import AccountKind

SEND = "/cgi-bin/message/custom/send"
TEXT = {"touser": "o1", "msgtype": "text", "text": {"content": "你好"}}


def test_an_unknown_path_is_collected(caller: Caller) -> None:
    assert caller.errcode("/cgi-bin/message/send") == 40066
    assert caller.api.unknown == ["/cgi-bin/message/send"]
    assert caller.api.calls == ["/cgi-bin/stable_token", "/cgi-bin/message/send"]


@pytest.mark.parametrize(
    ("method", "path", "errcode"),
    [("POST", "/cgi-bin/user/get", 43001), ("GET", SEND, 43002), ("GET", "/cgi-bin/stable_token", 43002)],
)
def test_a_wrong_method_is_collected(caller: Caller, method: str, path: str, errcode: int) -> None:
    assert caller.raw(method, path).json()["errcode"] == errcode
    assert caller.api.unknown == [f"{method} {path}"]


def test_unknown_fields_are_collected_and_ignored(caller: Caller) -> None:
    caller.follow("o1")
    assert caller.post(SEND, TEXT | {"color": 1, "text": {"content": "x", "size": 2}}) == OK
    assert caller.get("/cgi-bin/user/get", after="o1")["total"] == 1
    assert sorted(caller.api.unknown) == [
        "/cgi-bin/message/custom/send color",
        "/cgi-bin/message/custom/send text.size",
        "/cgi-bin/user/get after",
    ]


@pytest.mark.parametrize(
    ("body", "errcode"),
    [
        (b"", 44002),
        (b"{", 47001),
        (b"\xff", 47001),
        (b"[]", 47001),
        (b"[" * 100_000, 47001),
        (b'{"msgtype": "text"}', 47001),
        (b'{"touser": 1, "msgtype": "text"}', 47001),
        (b'{"touser": "o1", "msgtype": "text", "text": "x"}', 47001),
    ],
    ids=lambda value: ascii(value)[:30],
)
def test_an_invalid_body_is_refused(caller: Caller, body: bytes, errcode: int) -> None:
    assert caller.raw("POST", SEND, content=body).json()["errcode"] == errcode


@pytest.mark.parametrize(
    ("path", "body", "errcode"),
    [
        ("/cgi-bin/material/get_material", {}, 41006),
        ("/cgi-bin/material/get_material", {"media_id": ""}, 41006),
        ("/cgi-bin/user/info/updateremark", {"remark": "x"}, 41009),
        ("/cgi-bin/clear_quota", {}, 41002),
        ("/cgi-bin/clear_quota/v2", {"appid": "x"}, 41004),
        ("/cgi-bin/tags/create", {"tag": {}}, 47001),
    ],
)
def test_a_missing_field_is_named_by_its_errcode(
    caller: Caller, path: str, body: dict[str, object], errcode: int
) -> None:
    assert caller.errcode(path, body) == errcode


def test_escaped_chinese_is_not_decoded(caller: Caller) -> None:
    caller.follow("o1")
    escaped = rb'{"touser":"o1","msgtype":"text","text":{"content":"\u4f60 \\u4f60 \\\u4f60 \u000a"}}'
    assert caller.raw("POST", SEND, content=escaped).json() == OK
    assert caller.api.sent[0]["text"]["content"] == r"\u4f60 \u4f60 \\u4f60 " + "\n"


def test_an_answer_is_json_in_utf_8_whatever_its_type_says(caller: Caller) -> None:
    answer = caller.raw("GET", "/cgi-bin/tags/get")
    assert answer.headers["Content-Type"].startswith("text/plain")
    assert "星标组".encode() in answer.content


def test_a_failed_call_is_found_by_its_rid(caller: Caller) -> None:
    rid = caller.post(SEND, TEXT)["errmsg"].rsplit("rid: ", 1)[1]
    assert re.fullmatch(r"[0-9a-f]{8}-[0-9a-f]{8}-[0-9a-f]{8}", rid)
    request = caller.post("/cgi-bin/openapi/rid/get", {"rid": rid})["request"]
    assert (request["request_url"], request["client_ip"]) == (SEND, "127.0.0.1")
    assert json.loads(request["request_body"]) == TEXT
    assert '"errcode": 40003' in request["response_body"]
    assert caller.errcode("/cgi-bin/openapi/rid/get", {"rid": "6172-61-04"}) == 76001
    caller.api.advance(7 * 86400 + 1)
    caller.token = caller.new_token()
    assert caller.errcode("/cgi-bin/openapi/rid/get", {"rid": rid}) == 76002


def test_a_secret_is_not_kept(caller: Caller) -> None:
    caller.http.post("/cgi-bin/stable_token", json=TOKEN_QUERY | {"appid": "wx0000000000000000"})
    with caller.api.store.opened() as state:
        assert APP_SECRET not in to_json(state)


def test_a_call_within_a_transaction_is_refused(caller: Caller, engine: Engine) -> None:
    with transaction(engine), pytest.raises(AssertionError, match="within a transaction"):
        caller.get("/cgi-bin/tags/get")


# Kinds of accounts (section 9.2)

ALLOWED = {
    "/cgi-bin/openapi/quota/get": "uS vS uD vD T",
    "/cgi-bin/material/get_material": "uS vS uD vD T",
    "/cgi-bin/draft/add": "uS vS uD vD T",
    "/cgi-bin/menu/create": "vS vD T",
    "/cgi-bin/menu/addconditional": "vS vD T",
    SEND: "vS vD T",
    "/cgi-bin/message/custom/typing": "vS vD T",
    "/customservice/kfaccount/add": "vS vD",
    "/cgi-bin/user/info/batchget": "vS vD T",
    "/cgi-bin/tags/create": "vS vD T",
    "/cgi-bin/media/uploadvideo": "vS vD T",
    "/cgi-bin/freepublish/submit": "vS vD",
    "/cgi-bin/message/mass/preview": "vS vD T",
    "/cgi-bin/message/mass/send": "vD T",
    "/cgi-bin/message/template/send": "vD T",
    "/cgi-bin/message/template/subscribe": "vS vD",
    "/cgi-bin/message/subscribe/bizsend": "vD",
    "/cgi-bin/qrcode/create": "vD T",
    "/cgi-bin/shorten/gen": "vS vD T",
    "/cgi-bin/comment/open": "vS vD",
    "/datacube/getusersummary": "vS vD",
}
KINDS = {
    "uS": AccountKind.UNVERIFIED_SUBSCRIPTION,
    "vS": AccountKind.VERIFIED_SUBSCRIPTION,
    "uD": AccountKind.UNVERIFIED_SERVICE,
    "vD": AccountKind.VERIFIED_SERVICE,
    "T": AccountKind.TEST,
}


@pytest.mark.parametrize("kind", KINDS.values())
def test_an_account_may_call_what_its_kind_has(kind: AccountKind) -> None:
    caller = make_caller(SimulatedAccount(kind=kind))
    refused = {path for path in ALLOWED if caller.errcode(path) == 48001}
    name = next(name for name, value in KINDS.items() if value is kind)
    assert refused == {path for path, kinds in ALLOWED.items() if name not in kinds.split()}


def test_an_account_without_menus_may_still_read_them() -> None:
    caller = make_caller(SimulatedAccount(kind=AccountKind.UNVERIFIED_SUBSCRIPTION))
    assert caller.get("/cgi-bin/get_current_selfmenu_info")["is_menu_open"] == 0
    assert caller.get("/cgi-bin/menu/get")["errcode"] == 48001
