"""Answers that operators have at hand."""

from __future__ import annotations

from typing import Any

import pytest

from tests.blueprints.admin.conftest import Browser, SignIn
from tests.blueprints.admin.conversations.conftest import Operator
from wechat_bot.models import Role


def save(browser: Browser, path: str = "/admin/canned", **wording: str) -> int:
    values = {"shortcut": "退款", "title": "退款说明", "text": "三天内到账。", **wording}
    return browser.post(path, **values).status_code


def offered(operator: Operator, browser: Browser | None = None) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (browser or operator).get(f"{operator.here}/canned.json").get_json()
    return found


def test_a_canned_reply_is_offered_with_its_variables_filled_in(operator: Operator) -> None:
    assert save(operator, text="{{follower}}您好，我是{{ operator }}。") == 303
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


def test_the_line_ends_of_a_form_are_plain(operator: Operator) -> None:
    text = "一\n\n" + "二\n" * 998
    assert save(operator, text=text.replace("\n", "\r\n")) == 303
    assert [reply["text"] for reply in offered(operator)] == [text.strip()]


def test_one_s_own_are_offered_to_nobody_else(operator: Operator, signed_in: SignIn) -> None:
    save(operator, own="on")
    save(operator, shortcut="发票")
    other = signed_in(Role.OPERATOR, "wang")
    assert [reply["shortcut"] for reply in offered(operator, other)] == ["发票"]
    assert "三天内" in operator.get("/admin/canned").text


@pytest.mark.parametrize(
    "wording", [{"shortcut": " / "}, {"text": "  "}, {"text": "{{password}}"}, {"text": "长" * 2001}]
)
def test_what_cannot_be_used_is_not_saved_and_stays_in_the_form(
    operator: Operator, wording: dict[str, str]
) -> None:
    answer = operator.post("/admin/canned", **{"shortcut": "a", "title": "t", "text": "x", **wording})
    assert answer.status_code == 422
    assert "没有保存" in answer.text
    assert offered(operator) == []


def test_a_shortcut_is_there_once(operator: Operator) -> None:
    assert save(operator) == 303
    assert save(operator, text="别的") == 422
    assert save(operator, own="on", text="我自己的") == 303, "one's own may say something else"


def test_one_is_changed_and_removed(operator: Operator) -> None:
    save(operator)
    reply_id = offered(operator)[0]["id"]
    assert 'value="退款"' in operator.get(f"/admin/canned?change={reply_id}").text
    assert save(operator, f"/admin/canned?change={reply_id}", text="五天内到账。") == 303
    assert [reply["text"] for reply in offered(operator)] == ["五天内到账。"]
    operator.post(f"/admin/canned/{reply_id}/remove")
    assert offered(operator) == []


def test_nobody_changes_the_own_ones_of_somebody_else(operator: Operator, signed_in: SignIn) -> None:
    save(operator, own="on")
    reply_id = offered(operator)[0]["id"]
    other = signed_in(Role.OPERATOR, "wang")
    save(other, f"/admin/canned?change={reply_id}", text="不该变")
    other.post(f"/admin/canned/{reply_id}/remove")
    assert [reply["text"] for reply in offered(operator)] == ["三天内到账。"]
