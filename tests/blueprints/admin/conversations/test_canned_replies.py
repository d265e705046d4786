"""Answers that operators have at hand."""

from __future__ import annotations

import re
from typing import Any

import pytest
from sqlalchemy import Engine

from tests.blueprints.admin.conftest import Browser, SignIn, audited
from tests.blueprints.admin.conversations.conftest import Operator
from wechat_bot.models import Role


def save(browser: Browser, path: str = "/admin/canned/new", **wording: str) -> int:
    values = {"shortcut": "退款", "title": "退款说明", "answer.kind": "text", "answer.text": "三天内到账。"}
    return browser.post(path, **{**values, **wording}).status_code


def offered(operator: Operator, browser: Browser | None = None) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (browser or operator).get(f"{operator.here}/canned.json").get_json()
    return found


def version_of(browser: Browser, path: str) -> str:
    found = re.search(r'name="version" value="(\d+)"', browser.get(path).text)
    assert found
    return found[1]


def change(browser: Browser, path: str, **wording: str) -> int:
    return save(browser, path, **{"version": version_of(browser, path), **wording})


def test_a_canned_reply_is_offered_with_its_variables_filled_in(operator: Operator) -> None:
    assert save(operator, **{"answer.text": "{{follower}}您好，我是{{ operator }}。"}) == 303
    [reply] = offered(operator)
    assert reply["text"] == "您好，我是li。"
    assert reply["missing"] == ["follower"], "the follower has no name yet"
    operator.post(f"/admin/followers/{operator.follower_id}/alias", alias="小王")
    assert offered(operator)[0] | {"id": 0} == {
        "id": 0,
        "shortcut": "退款",
        "title": "退款说明",
        "text": "小王您好，我是li。",
        "missing": [],
    }


def test_a_variable_with_a_default_is_not_missing(operator: Operator) -> None:
    save(operator, **{"answer.text": "{{follower|亲}}您好"})
    assert [(reply["text"], reply["missing"]) for reply in offered(operator)] == [("亲您好", [])]


def test_one_s_own_are_offered_to_nobody_else(operator: Operator, signed_in: SignIn) -> None:
    save(operator, own="on")
    save(operator, shortcut="发票")
    other = signed_in(Role.OPERATOR, "wang")
    assert [reply["shortcut"] for reply in offered(operator, other)] == ["发票"]
    assert "三天内" in operator.get("/admin/canned").text


@pytest.mark.parametrize(
    "wording",
    [
        {"shortcut": " / "},
        {"answer.text": "  "},
        {"answer.text": "{{password}}"},
        {"answer.text": "长" * 683},
        {"answer.kind": "person"},
        {"answer.kind": "image"},
    ],
)
def test_what_cannot_be_used_is_not_saved_and_stays_in_the_form(
    operator: Operator, wording: dict[str, str]
) -> None:
    values = {"shortcut": "a", "title": "标题", "answer.kind": "text", "answer.text": "x", **wording}
    answer = operator.post("/admin/canned/new", **values)
    assert answer.status_code == 422
    assert 'class="problem"' in answer.text
    assert 'value="标题"' in answer.text
    assert offered(operator) == []


def test_a_shortcut_is_there_once(operator: Operator) -> None:
    assert save(operator) == 303
    assert save(operator, title="别的") == 422
    assert save(operator, own="on", title="我自己的") == 303, "one's own may say something else"


def test_one_is_changed_deleted_and_restored(operator: Operator, engine: Engine) -> None:
    save(operator)
    here = f"/admin/canned/{offered(operator)[0]['id']}"
    assert 'value="退款"' in operator.get(here).text
    assert change(operator, here, **{"answer.text": "五天内到账。"}) == 303
    assert [reply["text"] for reply in offered(operator)] == ["五天内到账。"]
    history = operator.get(f"{here}/history").text
    assert "<del>三天内到账。</del> → <ins>五天内到账。</ins>" in history
    assert "li" in history
    operator.post(f"{here}/remove")
    assert offered(operator) == []
    assert operator.get(here).status_code == 404
    assert save(operator, title="新的一条") == 303, "its shortcut is free"
    operator.post(f"{here}/restore", version="1")
    assert "已经有了" in operator.get(f"{here}/history").text
    [new] = offered(operator)
    operator.post(f"/admin/canned/{new['id']}/remove")
    operator.post(f"{here}/restore", version="1")
    assert [reply["text"] for reply in offered(operator)] == ["三天内到账。"]
    assert {"canned_created", "canned_saved", "canned_removed", "canned_restored"} <= set(audited(engine))


def test_who_saves_second_sees_the_difference_and_overwrites_nothing(
    operator: Operator, signed_in: SignIn
) -> None:
    save(operator)
    here, other = f"/admin/canned/{offered(operator)[0]['id']}", signed_in(Role.OPERATOR, "wang")
    version = version_of(other, here)
    change(operator, here, **{"answer.text": "五天内到账。"})
    mine = {"shortcut": "退款", "title": "", "answer.kind": "text", "answer.text": "马上到账。"}
    refused = other.post(here, version=version, **mine)
    assert refused.status_code == 409
    assert "<td>马上到账。</td><td>五天内到账。</td>" in refused.text
    assert [reply["text"] for reply in offered(operator)] == ["五天内到账。"]
    again = re.search(r'name="version" value="(\d+)"', refused.text)
    assert again
    assert save(other, here, version=again[1], **mine) == 303, "the other one's text is taken on purpose"
    operator.post(f"{here}/remove")
    gone = other.post(here, version="3", **mine)
    assert gone.status_code == 409
    assert "马上到账。" in gone.text


def test_nobody_changes_the_own_ones_of_somebody_else(
    operator: Operator, signed_in: SignIn, engine: Engine
) -> None:
    save(operator, own="on")
    here, other = f"/admin/canned/{offered(operator)[0]['id']}", signed_in(Role.OPERATOR, "wang")
    for status in (
        save(other, here, version="1"),
        other.post(f"{here}/remove").status_code,
        other.get(f"{here}/history").status_code,
        other.post(f"{here}/restore", version="1").status_code,
    ):
        assert status == 404
    assert [reply["text"] for reply in offered(operator)] == ["三天内到账。"]
    assert audited(engine).count("canned_created") == 1
    assert "canned_removed" not in audited(engine), "what did not happen is not in the audit log"
