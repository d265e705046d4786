"""The pages on which admins look after operators."""

from __future__ import annotations

import re

import pytest
from sqlalchemy import Engine

from tests.blueprints.admin.conftest import Browse, Browser, SignIn, audited, operator_of
from tests.operators import PASSWORD
from wechat_bot.models import Role

NEW = "/admin/operators/new"


def password_in(page: str) -> str:
    found = re.search(r'data-copy="([^"]+)"', page)
    assert found
    return found[1]


def test_a_colleague_gets_a_password_that_is_shown_once(
    engine: Engine, admin: Browser, browse: Browse
) -> None:
    shown = admin.post(NEW, name="小王", role="operator", password="", current=PASSWORD)
    password = password_in(shown.text)
    assert "小王" in admin.get("/admin/operators").text
    assert password not in admin.get(f"/admin/operators/{operator_of(engine, '小王').id}").text
    assert browse().sign_in("小王", password).status_code == 303
    assert audited(engine).count("operator_created") == 1


def test_a_colleague_gets_the_password_that_was_typed(admin: Browser, browse: Browse) -> None:
    assert (
        admin.post(
            NEW, name="wang", role="viewer", password="long enough it is", current=PASSWORD
        ).status_code
        == 303
    )
    assert browse().sign_in("wang", "long enough it is").status_code == 303


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"name": "li"}, "已经有叫这个名称的操作员"),
        ({"name": "li wang"}, "不能有空格"),
        ({"password": "short"}, "密码要有 10 到 256 个字符"),
        ({"password": "1234567890"}, "太容易猜到"),
        ({"current": "wrong"}, "现在的密码不对"),
    ],
)
def test_what_is_wrong_is_told_on_the_form(admin: Browser, wrong: dict[str, str], told: str) -> None:
    answer = admin.post(
        NEW, **{"name": "wang", "role": "viewer", "password": "", "current": PASSWORD, **wrong}
    )
    assert answer.status_code == 422
    assert told in answer.text


def test_roles_that_do_not_exist_are_400(engine: Engine, admin: Browser) -> None:
    assert admin.post(NEW, name="wang", role="god", password="", current=PASSWORD).status_code == 400
    assert (
        admin.post(
            f"/admin/operators/{operator_of(engine, 'li').id}/role", role="", current=PASSWORD
        ).status_code
        == 400
    )


def test_operators_that_do_not_exist_are_404(admin: Browser) -> None:
    assert admin.get("/admin/operators/999").status_code == 404
    for action in ("disable", "enable", "password", "second-factor/remove"):
        assert admin.post(f"/admin/operators/999/{action}", current=PASSWORD).status_code == 404, action


@pytest.fixture
def wang(engine: Engine, signed_in: SignIn) -> Browser:
    """The browser of wang, an operator."""
    return signed_in(Role.OPERATOR, "wang")


@pytest.fixture
def wang_page(engine: Engine, wang: Browser) -> str:
    """Where admins look after wang."""
    return f"/admin/operators/{operator_of(engine, 'wang').id}"


def test_another_role_counts_with_the_next_click(admin: Browser, wang: Browser, wang_page: str) -> None:
    assert wang.get("/admin/operators").status_code == 403
    admin.post(f"{wang_page}/role", role="admin", current=PASSWORD)
    assert wang.get("/admin/operators").status_code == 200
    admin.post(f"{wang_page}/role", role="viewer", current=PASSWORD)
    assert wang.get("/admin/operators").status_code == 403


def test_who_is_disabled_is_out_until_enabled(admin: Browser, wang: Browser, wang_page: str) -> None:
    admin.post(f"{wang_page}/disable")
    assert not wang.is_signed_in()
    assert wang.sign_in("wang").status_code == 401
    assert "已停用" in admin.get(wang_page).text
    admin.post(f"{wang_page}/enable")
    assert wang.sign_in("wang").status_code == 303


def test_a_forgotten_password_is_replaced(admin: Browser, wang: Browser, wang_page: str) -> None:
    password = password_in(admin.post(f"{wang_page}/password", current=PASSWORD).text)
    assert not wang.is_signed_in()
    assert wang.sign_in("wang", PASSWORD).status_code == 401
    assert wang.sign_in("wang", password).status_code == 303


def test_a_colleague_is_signed_out_everywhere(admin: Browser, wang: Browser, wang_page: str) -> None:
    assert "127.0.0.1" in admin.get(wang_page).text
    admin.post(f"{wang_page}/sign-out")
    assert not wang.is_signed_in()
    assert admin.is_signed_in()


def test_the_last_admin_cannot_lock_everybody_out(engine: Engine, admin: Browser) -> None:
    page = f"/admin/operators/{operator_of(engine, 'li').id}"
    demoted = admin.post(f"{page}/role", role="viewer", current=PASSWORD)
    for answer in (admin.post(f"{page}/disable"), demoted):
        assert answer.status_code == 400
        assert "这是最后一个管理员" in answer.text
    assert admin.get("/admin/operators").status_code == 200


def test_a_stolen_session_changes_neither_passwords_nor_roles_nor_second_factors(
    engine: Engine, admin: Browser, wang: Browser, wang_page: str
) -> None:
    before = operator_of(engine, "wang")
    for action in ("role", "password", "second-factor/remove"):
        answer = admin.post(f"{wang_page}/{action}", role="admin", current="a guess")
        assert answer.status_code == 400
        assert "现在的密码不对" in answer.text
    assert operator_of(engine, "wang") == before
    assert admin.post("/admin/operators/999/role", role="admin", current="a guess").status_code == 404
