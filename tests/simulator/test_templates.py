"""Template messages and subscriptions (sections 7.12 and 7.13)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.simulator.conftest import OK, Caller

SEND = "/cgi-bin/message/template/send"


@pytest.fixture
def template(caller: Caller) -> str:
    caller.follow("o1")
    body = {"template_id_short": "TM00015", "keyword_name_list": ["名称", "时间"]}
    return str(caller.post("/cgi-bin/template/api_add_template", body)["template_id"])


def message(template: str, **changes: Any) -> dict[str, Any]:
    data = {"thing1": {"value": "咖啡"}, "thing2": {"value": "明天", "color": "#ff0000"}}
    return {"touser": "o1", "template_id": template, "data": data, **changes}


def received(caller: Caller) -> int:
    with caller.api.store.opened() as state:
        return len(state.sent)


def test_templates_are_listed_and_deleted(caller: Caller, template: str) -> None:
    listed = caller.get("/cgi-bin/template/get_all_private_template")["template_list"]
    assert [item["template_id"] for item in listed] == [template]
    assert listed[0]["content"] == "名称:{{thing1.DATA}}\n时间:{{thing2.DATA}}"
    assert caller.post("/cgi-bin/template/del_private_template", {"template_id": template}) == OK
    assert caller.errcode(SEND, message(template)) == 40037
    assert caller.errcode("/cgi-bin/template/del_private_template", {"template_id": template}) == 40037


def test_there_are_at_most_25_templates(caller: Caller, template: str) -> None:
    add = "/cgi-bin/template/api_add_template"
    errcodes = [caller.errcode(add, {"template_id_short": "TM1"}) for _ in range(25)]
    assert errcodes == [0] * 24 + [45026]


def test_a_template_message_arrives_and_causes_an_event(caller: Caller, template: str) -> None:
    mini = {"appid": "wx1", "pagepath": "p"}
    body = message(template, url="https://a.example/", miniprogram=mini, client_msg_id="m1")
    answer = caller.post(SEND, body)
    assert answer.keys() == {"errcode", "errmsg", "msgid"}
    assert (received(caller), caller.api.sent, caller.api.unknown) == (1, [], [])
    caller.api.advance(2)
    [event] = caller.api.take_events()
    assert (event.name, event.openid) == ("TEMPLATESENDJOBFINISH", "o1")
    assert event.fields == {"MsgID": str(answer["msgid"]), "Status": "success"}


def test_a_follower_who_refuses_is_known_only_afterwards(caller: Caller, template: str) -> None:
    caller.state(lambda state: setattr(state.followers["o1"], "refuses", True))
    assert caller.errcode(SEND, message(template)) == 0
    caller.api.advance(2)
    assert caller.api.take_events()[0].fields["Status"] == "failed:user block"
    assert received(caller) == 0


def test_the_same_client_msg_id_is_sent_once_in_ten_minutes(caller: Caller, template: str) -> None:
    body = message(template, client_msg_id="m1")
    msgid = caller.post(SEND, body)["msgid"]
    assert caller.errcode(SEND, body) == 40241
    caller.api.advance(60)
    assert caller.post(SEND, body)["msgid"] == msgid
    assert received(caller) == 1
    caller.api.advance(540)
    assert caller.post(SEND, body)["msgid"] != msgid
    assert received(caller) == 2


@pytest.mark.parametrize(
    ("changes", "errcode"),
    [
        ({"touser": "foreign"}, 40003),
        ({"template_id": "none"}, 40037),
        ({"data": {"thing1": {"value": "x"}}}, 47003),
        ({"data": {"thing1": {"value": ""}, "thing2": {"value": "x"}}}, 47003),
        ({"data": {"thing1": "x"}}, 47001),
    ],
    ids=str,
)
def test_a_template_message_has_its_limits(
    caller: Caller, template: str, changes: dict[str, Any], errcode: int
) -> None:
    assert caller.errcode(SEND, message(template, **changes)) == errcode


def test_the_keyword_without_a_value_is_named(caller: Caller, template: str) -> None:
    errmsg = caller.post(SEND, message(template, data={"thing1": {"value": "x"}}))["errmsg"]
    assert errmsg.startswith("argument invalid! data.thing2.value is empty rid: ")


def test_a_former_follower_gets_no_template_message(caller: Caller, template: str) -> None:
    caller.api.follower_acted("o1", "unfollow")
    assert caller.errcode(SEND, message(template)) == 43004


def test_the_industry_is_changed_once_a_month(caller: Caller) -> None:
    path, body = "/cgi-bin/template/api_set_industry", {"industry_id1": "1", "industry_id2": "4"}
    assert [caller.errcode(path, body), caller.errcode(path, body)] == [0, 43100]
    industry = caller.get("/cgi-bin/template/get_industry")
    assert industry.keys() == {"primary_industry", "secondary_industry"}
    assert caller.errcode(path, body | {"industry_id1": "99"}) == 40097


def test_nothing_is_blocked(caller: Caller) -> None:
    body = {"tmpl_msg_id": "1", "largest_id": 0, "limit": 1}
    assert caller.post("/wxa/sec/queryblocktmplmsg", body)["msginfo"] == []


# Subscriptions

ONCE = "/cgi-bin/message/template/subscribe"
NOTICE = "/cgi-bin/message/subscribe/bizsend"


def test_a_one_time_subscription_is_good_for_one_message_of_its_scene(caller: Caller) -> None:
    body = {
        "touser": "o1",
        "template_id": "t1",
        "scene": 7,
        "title": "题" * 15,
        "data": {"content": {"value": "好" * 200, "color": "#000000"}},
    }
    assert caller.errcode(ONCE, body) == 40003
    caller.api.follower_accepted("o1", "t1", 7)
    assert caller.errcode(ONCE, body | {"scene": 8}) == 43101
    assert caller.errcode(ONCE, body | {"scene": 10_001}) == 40097
    assert caller.errcode(ONCE, body | {"title": "题" * 16}) == 45003
    assert caller.errcode(ONCE, body | {"data": {"content": {"value": "好" * 201}}}) == 45002
    assert [caller.errcode(ONCE, body), caller.errcode(ONCE, body)] == [0, 43101]
    assert (received(caller), caller.api.unknown) == (1, [])


def add_notice(caller: Caller, **changes: Any) -> Any:
    body = {"tid": "101", "kidList": [1, 2], "sceneDesc": "预约", **changes}
    return caller.post("/wxaapi/newtmpl/addtemplate", body)


def test_a_notice_is_sent_as_often_as_it_was_accepted(caller: Caller) -> None:
    template = add_notice(caller)["priTmplId"]
    caller.api.follower_accepted("o1", template)
    body = message(template, page="https://a.example/")
    assert [caller.errcode(NOTICE, body), caller.errcode(NOTICE, body)] == [0, 43101]
    assert caller.errcode(NOTICE, body | {"data": {}}) == 47003
    assert caller.errcode(NOTICE, body | {"template_id": "none"}) == 40037
    caller.api.advance(2)
    [event] = caller.api.take_events()
    sent = event.fields["SubscribeMsgSentEvent"]["List"]
    assert (event.name, sent["TemplateId"], sent["ErrorStatus"]) == (
        "subscribe_msg_sent_event",
        template,
        "success",
    )


def test_templates_of_notices_are_chosen_listed_and_deleted(caller: Caller) -> None:
    base = "/wxaapi/newtmpl"
    assert caller.get(f"{base}/getcategory")["data"] == [{"id": 616, "name": "生活服务"}]
    titles = caller.get(f"{base}/getpubtemplatetitles", ids="616", start=1, limit=1)
    assert (titles["count"], len(titles["data"])) == (3, 1)
    keywords = caller.get(f"{base}/getpubtemplatekeywords", tid=titles["data"][0]["tid"])["data"]
    tid, numbers = str(titles["data"][0]["tid"]), [keyword["kid"] for keyword in keywords[:2]]
    template = add_notice(caller, tid=tid, kidList=numbers)["priTmplId"]
    [listed] = caller.get(f"{base}/gettemplate")["data"]
    assert (listed["priTmplId"], listed["title"]) == (template, titles["data"][0]["title"])
    assert caller.get("/cgi-bin/template/get_all_private_template") == {"template_list": []}
    assert caller.post(f"{base}/deltemplate", {"priTmplId": template}) == OK
    assert caller.get(f"{base}/gettemplate")["data"] == []


@pytest.mark.parametrize(
    ("changes", "errcode"),
    [
        ({"tid": "999"}, 200014),
        ({"kidList": [1]}, 200020),
        ({"kidList": [1, 99]}, 200020),
        ({"kidList": [1, 2, 3, 4, 5, 1]}, 200020),
        ({"sceneDesc": "长" * 16}, 200021),
    ],
    ids=str,
)
def test_a_template_of_notices_has_its_limits(caller: Caller, changes: dict[str, Any], errcode: int) -> None:
    assert add_notice(caller, **changes)["errcode"] == errcode


def test_there_are_at_most_25_templates_of_notices(caller: Caller) -> None:
    assert [add_notice(caller)["errcode"] for _ in range(26)] == [0] * 25 + [200012]
