"""What operators decide for themselves."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from html import unescape

import pyotp
import pytest
from sqlalchemy import Engine, select

from tests.blueprints.admin.conftest import Browse, Browser, SignIn, audited, operator_of
from tests.operators import PASSWORD, add_operator
from wechat_bot.models import OperatorSession, Role, Theme

PREFERENCES = {"language": "", "time_zone": "Asia/Shanghai", "theme": "auto"}


def test_preferences_are_kept_and_shown(engine: Engine, admin: Browser) -> None:
    form = {"language": "en", "time_zone": "Europe/Berlin", "theme": "dark", "sound": "on", "dense": "on"}
    assert admin.post("/admin/profile/preferences", **form).status_code == 303
    row = operator_of(engine, "li")
    assert (row.language, row.time_zone, row.theme) == ("en", "Europe/Berlin", Theme.DARK)
    assert (row.shortcuts, row.sound, row.dense) == (False, True, True)
    page = admin.get("/admin/profile").text
    assert '<html lang="en" data-theme="dark" data-bs-theme="dark">' in page
    assert 'value="Europe/Berlin"' in page


def test_pages_have_the_colours_of_a_theme_without_scripts(admin: Browser) -> None:
    assert 'data-theme="auto" data-bs-theme="light">' in admin.get("/admin/profile").text


@pytest.mark.parametrize("zone", ["Mars/Olympus", "", "../../etc/passwd", "Europe"])
def test_time_zones_that_do_not_exist_are_told(engine: Engine, admin: Browser, zone: str) -> None:
    answer = admin.post("/admin/profile/preferences", **{**PREFERENCES, "time_zone": zone})
    assert answer.status_code == 422
    assert "没有这个时区。" in answer.text
    assert operator_of(engine, "li").time_zone == "Asia/Shanghai"


@pytest.mark.parametrize("wrong", [{"theme": "pink"}, {"language": "tlh"}])
def test_options_that_do_not_exist_are_400(admin: Browser, wrong: dict[str, str]) -> None:
    assert admin.post("/admin/profile/preferences", **{**PREFERENCES, **wrong}).status_code == 400


def test_the_password_is_changed_by_who_knows_it(engine: Engine, admin: Browser, signed_in: SignIn) -> None:
    other = signed_in()
    new = "another long password"
    form = {"current": PASSWORD, "password": new, "again": new}
    for wrong, told in (
        ({"current": "wrong"}, "现在的密码不对"),
        ({"again": "different"}, "两次输入的新密码不一样"),
        ({"password": "short", "again": "short"}, "密码要有 10 到 256 个字符"),
    ):
        answer = admin.post("/admin/profile/password", **{**form, **wrong})
        assert answer.status_code == 422
        assert told in answer.text
    assert other.is_signed_in()
    assert admin.post("/admin/profile/password", **form).status_code == 303
    assert admin.is_signed_in()
    assert not other.is_signed_in()
    assert other.sign_in("li").status_code == 401
    assert other.sign_in("li", new).status_code == 303
    assert audited(engine).count("password_changed") == 1


def test_guessing_the_password_in_the_profile_is_slowed_down_too(engine: Engine, browse: Browse) -> None:
    add_operator(engine, "li", Role.ADMIN)
    admin = browse()
    admin.sign_in("li")
    form = {"password": "another long password", "again": "another long password"}
    for _ in range(5):
        admin.post("/admin/profile/password", current="wrong", **form)
    assert admin.post("/admin/profile/password", current=PASSWORD, **form).status_code == 422
    admin.post("/admin/sign-out")
    assert admin.sign_in("li").status_code == 429
    assert browse().sign_in("li").status_code == 303, "other browsers go on"


def test_a_second_factor_is_set_up_used_and_removed(
    engine: Engine, signed_in: SignIn, browse: Browse
) -> None:
    viewer = signed_in(Role.VIEWER)
    page = viewer.get("/admin/profile/second-factor").text
    assert 'src="data:image/svg+xml' in page
    secret = re.search(r"<code[^>]*>([A-Z2-7]{32})</code>", page)
    assert secret
    totp, next_step = pyotp.TOTP(secret[1]), timedelta(seconds=30)
    for form, told in (
        ({"code": "000000", "current": PASSWORD}, "验证码不对"),
        ({"code": totp.now(), "current": "a guess"}, "现在的密码不对"),
    ):
        wrong = viewer.post("/admin/profile/second-factor", **form)
        assert (wrong.status_code, secret[1] in wrong.text) == (422, True)
        assert told in wrong.text
    shown = viewer.post("/admin/profile/second-factor", code=totp.now(), current=PASSWORD)
    assert secret[1] not in str(operator_of(engine, "li")), "it is stored sealed"
    codes = re.findall(r"<li[^>]*>([a-z2-9]{5}-[a-z2-9]{5})</li>", shown.text)
    assert len(codes) == 10
    assert "还有 10 个恢复码" in viewer.get("/admin/profile").text
    assert viewer.get("/admin/profile/second-factor").status_code == 302

    with_code, with_recovery_code = browse(), browse()
    with_code.sign_in("li")
    assert with_code.enter_code(totp.at(datetime.now(UTC) + next_step)).status_code == 303
    with_recovery_code.sign_in("li")
    assert with_recovery_code.enter_code(codes[0]).status_code == 303
    assert "还有 9 个恢复码" in with_recovery_code.get("/admin/profile").text

    assert viewer.post("/admin/profile/second-factor/remove", current="wrong").status_code == 422
    assert viewer.post("/admin/profile/second-factor/remove", current=PASSWORD).status_code == 303
    assert browse().sign_in("li").location == "/admin/"
    assert operator_of(engine, "li").totp_secret == ""


def test_another_browser_is_signed_out_from_here(signed_in: SignIn) -> None:
    here, there = signed_in(), signed_in()
    revoke = re.findall(r'action="(/admin/profile/sessions/\d+/revoke)"', here.get("/admin/profile").text)
    assert len(revoke) == 1, "not this one"
    here.post(revoke[0])
    assert here.is_signed_in()
    assert not there.is_signed_in()


def test_the_browsers_of_others_are_not_touched(engine: Engine, signed_in: SignIn) -> None:
    li, wang = signed_in(), signed_in(Role.VIEWER, "wang")
    with engine.connect() as connection:
        session_id = connection.scalar(select(OperatorSession.id).order_by(OperatorSession.id))
    wang.post(f"/admin/profile/sessions/{session_id}/revoke")
    assert li.is_signed_in()


def test_all_browsers_are_signed_out_at_once(signed_in: SignIn) -> None:
    browsers = [signed_in() for _ in range(3)]
    assert browsers[0].post("/admin/profile/sessions/revoke").location == "/admin/sign-in"
    assert not any(browser.is_signed_in() for browser in browsers)


@pytest.mark.parametrize(
    ("user_agent", "name"),
    [
        ("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0", "Firefox · Linux"),
        (
            "Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 Chrome/140.0 Safari/537.36 Edg/140.0",
            "Edge · Windows",
        ),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 18_0) Version/18.0 Mobile Safari/604.1", "Safari · iPhone"),
        ("<script>alert(1)</script>", "<script>alert(1)</script>"),
        ("", "–"),
    ],
)
def test_a_browser_is_named(signed_in: SignIn, browse: Browse, user_agent: str, name: str) -> None:
    watcher = signed_in()
    other = browse()
    other.client.environ_base["HTTP_USER_AGENT"] = user_agent
    other.sign_in("li")
    page = watcher.get("/admin/profile").text
    assert "<script>alert" not in page
    assert name in unescape(page)
