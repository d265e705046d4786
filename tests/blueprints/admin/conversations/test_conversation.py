"""An open conversation, as requests of an operator's browser with and without JavaScript."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from sqlalchemy import Engine, select
from werkzeug.test import TestResponse

from tests.blueprints.admin.conftest import PAGE, SignIn, operator_of
from tests.blueprints.admin.conversations.conftest import Operator
from tests.conftest import statements
from wechat_bot.database.transactions import transaction
from wechat_bot.models import Follower, MessageState, Role
from wechat_bot.services.messages.records import insert_rows, outgoing_row
from wechat_bot.testing import FakePlatform
from wechat_bot.wechat.replies import TextReply

HTMX = {**PAGE, "HX-Request": "true"}
LIST = "?tab=done&q=li"


def change(operator: Operator, path: str, **form: Any) -> TestResponse:
    """Send a form as the page's script does."""
    form["csrf_token"] = operator.token(operator.here)
    referrer = {"Referer": f"http://localhost{operator.here}{LIST}"}
    return operator.client.post(path, data=form, headers={**HTMX, **referrer})


CHANGES = [
    ("{here}/status", {"status": "done"}, "已处理", "done"),
    ("{here}/status", {"status": "waiting"}, "等待对方", "changed"),
    ("{here}/assignee", {"assignee": "{me}"}, "负责人已更改", "changed"),
    ("{here}/owner", {"owner": "operator", "seen": "0"}, "你接手了对话，机器人不再回答", "changed"),
    ("{here}/owner", {"owner": "bot", "note": "好了"}, "已交还给机器人", "changed"),
    ("{here}/star", {"starred": "1"}, "已加星标", "changed"),
    ("{here}/star", {"starred": "0"}, "已去掉星标", "changed"),
    ("{follower}/alias", {"alias": "王姐"}, "备注名已保存", "changed"),
    ("{follower}/tags", {"tag": "退款"}, "已加标签", "changed"),
    ("{follower}/tags/1/remove", {}, "已去掉标签", "changed"),
]


@pytest.mark.parametrize(("path", "form", "said", "event"), CHANGES)
def test_a_change_is_answered_with_the_parts_that_it_changes(
    operator: Operator, engine: Engine, path: str, form: dict[str, str], said: str, event: str
) -> None:
    names = {
        "here": operator.here,
        "follower": f"/admin/followers/{operator.follower_id}",
        "me": operator_of(engine, "li").id,
    }
    form = {name: value.format(**names) for name, value in form.items()}
    answer = change(operator, path.format(**names), **form)
    assert answer.status_code == 200
    assert re.findall(r'<hx-partial hx-target="(\S+)"', answer.text) == [
        "#talk-head",
        "#owner",
        "#card",
        "#announcement",
    ]
    assert f"：{said}</hx-partial>" in answer.text
    assert f'href="/admin/conversations{LIST.replace("&", "&amp;")}"' in answer.text, "the list stays"
    assert json.loads(answer.headers["HX-Trigger"]) == {
        f"conversation:{event}": {"follower": operator.follower_id}
    }
    plain = operator.post(path.format(**names), referrer=f"http://localhost{operator.here}{LIST}", **form)
    assert (plain.status_code, plain.location) == (303, operator.here + LIST)
    assert "HX-Trigger" not in plain.headers


def test_the_parts_show_what_was_changed(operator: Operator, engine: Engine) -> None:
    me = operator_of(engine, "li").id
    change(operator, f"/admin/followers/{operator.follower_id}/tags", tag="退款")
    change(operator, f"{operator.here}/star", starred="1")
    change(operator, f"{operator.here}/assignee", assignee=me)
    page = change(operator, f"/admin/followers/{operator.follower_id}/alias", alias="王<姐>").text
    assert "<title>王&lt;姐&gt; · wechat_bot</title>" in page
    assert 'aria-pressed="true"' in page
    assert "去掉标签 退款" in page
    assert f'<option value="{me}" selected>' in page
    assert "分配给我" not in page
    assert 'data-key="e"' in page
    assert 'data-key="e"' not in change(operator, f"{operator.here}/status", status="done").text


def test_what_is_refused_is_told_in_a_sentence(operator: Operator) -> None:
    form = {"csrf_token": operator.token(operator.here), "status": "nonsense"}
    headers = {"HX-Request": "true", "Accept": "text/plain", "Accept-Language": "zh"}
    answer = operator.client.post(f"{operator.here}/status", data=form, headers=headers)
    assert (answer.status_code, answer.text) == (400, "400 Bad Request: 没有这个状态。\n")


def test_a_conversation_that_opens_beside_the_list_brings_its_title(operator: Operator) -> None:
    alone = operator.get(f"{operator.here}{LIST}", **{"HX-Request": "true"}).text
    assert re.match(r"<title>\S+ · wechat_bot</title>\n<section", alone)
    assert operator.get(operator.here).text.count("<title>") == 1


def test_the_poll_tells_who_else_is_there_also_when_nothing_is_new(
    operator: Operator, signed_in: SignIn, engine: Engine, platform: FakePlatform
) -> None:
    new = f"{operator.here}/messages?after=99"
    assert "正在" not in operator.get(new).text
    wang = signed_in(Role.OPERATOR, "wang")
    assert "li正在看" in wang.get(new).text
    page = operator.get(new).text
    assert "wang正在看" in page
    assert "bubble" not in page
    assert 'data-writing=""' in page
    wang.post(f"{operator.here}/draft", form_at=operator.here, text="我来")
    page = operator.get(f"{operator.here}/presence").text
    assert "wang正在回复" in page
    assert "wang正在看" not in page
    assert 'data-writing="wang"' in page
    platform.text("还在吗")
    page = operator.get(f"{operator.here}/messages?after=2").text
    assert "wang正在回复" in page
    assert "还在吗" in page
    assert operator.get("/admin/conversations/999/presence").status_code == 404


def test_the_poll_sends_few_statements(operator: Operator, engine: Engine) -> None:
    path = f"{operator.here}/messages?after=99"
    operator.get(path)
    with statements() as sent:
        operator.get(path)
    assert len(sent) <= 5, "\n".join(sent)


def test_a_search_in_the_conversation_tells_who_wrote_each_message(
    operator: Operator, engine: Engine, platform: FakePlatform
) -> None:
    platform.text("我要帮助")
    me = {"operator_id": operator_of(engine, "li").id}
    with transaction(engine) as connection:
        account_id = connection.scalars(select(Follower.account_id)).one()
        answer = TextReply("马上帮助您")
        insert_rows(
            connection,
            [outgoing_row(account_id, operator.follower_id, answer, MessageState.SENT, "operator:1", **me)],
        )
    page = operator.get(f"{operator.here}{LIST}&find=帮助").text
    found = page[page.index('<ul class="story">') :]
    found = found[: found.index("</ul>")]
    writers = re.findall(r"<b>(?:<bdi>)?([^<]+)", found)
    assert writers[0] == "li"
    assert "机器人" in writers
    assert len(set(writers)) == 3
    assert f"{operator.here}{LIST}".replace("&", "&amp;").partition("?")[2] in found
