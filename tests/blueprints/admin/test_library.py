"""The library, as requests of an operator's browser."""

from __future__ import annotations

from datetime import UTC, datetime
from io import BytesIO
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import Engine
from werkzeug.test import TestResponse

from tests.blueprints.admin.conftest import PAGE as ACCEPTED
from tests.blueprints.admin.conftest import Browser, SignIn, audited
from tests.conftest import APP_SECRET, MakeApp, statements
from tests.files import GOOD, HTML, needs_ffmpeg
from wechat_bot.blueprints.admin.answers.files import MAX_FORM
from wechat_bot.models import Role
from wechat_bot.services.audit import Actor
from wechat_bot.services.media.library import Library, Usage
from wechat_bot.services.menus import versions
from wechat_bot.simulator import sample_console
from wechat_bot.simulator.sample_files import AMR, GIF, MP4, PNG
from wechat_bot.testing import FakeAPI
from wechat_bot.wechat.api.menu import Button
from wechat_bot.wiring import services

PAGE = "/admin/library"


@pytest.fixture
def app(make_app: MakeApp, api: FakeAPI) -> Flask:
    return make_app(api=api, wechat_app_secret=APP_SECRET)


@pytest.fixture
def library(app: Flask) -> Library:
    return services(app).library


def upload(browser: Browser, *files: tuple[str, bytes], **headers: str) -> TestResponse:
    form: dict[str, Any] = {"file": [(BytesIO(content), name) for name, content in files]}
    form["csrf_token"] = browser.token("/admin/profile")
    return browser.client.post(PAGE, data=form, headers=headers)


def test_files_are_uploaded_several_at_a_time_and_those_refused_are_named(admin: Browser) -> None:
    answer = upload(admin, ("门店地图.png", PNG), ("欢迎.amr", AMR), ("page.png", HTML), ("empty.mp3", b""))
    assert (answer.status_code, answer.location) == (303, PAGE)
    page = admin.get(PAGE).text
    assert "已存入 2 个文件。" in page
    assert "“page.png”没有存入：内容不是这类消息该有的格式。" in page
    assert "“empty.mp3”没有存入：文件是空的。" in page
    assert "门店地图.png" in page
    assert "微信上还没有副本，用到时再上传" in page


def test_many_refused_files_fit_into_the_cookie(admin: Browser) -> None:
    upload(admin, *((f"{'长' * 60}{n}.png", HTML) for n in range(30)))
    page = admin.get(PAGE).text
    assert page.count("没有存入：") == 10
    assert "还有 20 个文件也没有存入。" in page


def test_the_script_is_told_where_to_go(admin: Browser) -> None:
    answer = upload(admin, ("a.png", PNG), **{"HX-Request": "true"})
    assert (answer.status_code, answer.headers["HX-Redirect"]) == (204, PAGE)
    upload(admin)
    assert "还没有选文件。" in admin.get(PAGE).text


def test_an_upload_that_is_too_large_is_refused_in_words(admin: Browser) -> None:
    head = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.mp4"\r\n\r\n'
    form = {"data": head + bytes(MAX_FORM), "content_type": "multipart/form-data; boundary=x"}
    answer = admin.client.post(PAGE, headers=ACCEPTED, **form)
    assert answer.status_code == 413
    assert "请换小一些的文件，或分几次发送" in answer.text


@pytest.mark.parametrize("name", ["png", "jpeg", "gif", "mp3", "mp4"])
def test_a_file_is_shown_in_a_sandbox(admin: Browser, name: str) -> None:
    kind, content, content_type = GOOD[name]
    upload(admin, (name, content))
    answer = admin.get(f"{PAGE}/1")
    assert (answer.data, answer.content_type) == (content, content_type)
    assert answer.headers["Content-Security-Policy"] == "default-src 'none'; sandbox"
    assert answer.headers["Content-Disposition"].startswith(f"inline; filename={kind}-1.")
    assert admin.get(f"{PAGE}/1", Range="bytes=0-3").data == content[:4]
    if kind == "image":
        assert admin.get(f"{PAGE}/1/thumbnail").content_type == "image/jpeg"
    else:
        assert admin.get(f"{PAGE}/1/playable").data == content


@needs_ffmpeg
def test_a_voice_that_browsers_do_not_play_is_played_as_mp3(admin: Browser) -> None:
    upload(admin, ("a.amr", AMR))
    assert admin.get(f"{PAGE}/1/playable").content_type == "audio/mpeg"
    assert admin.get(f"{PAGE}/1").headers["Content-Disposition"] == "attachment; filename=voice-1.amr"


def test_what_is_not_in_the_library_is_not_found(admin: Browser) -> None:
    upload(admin, ("a.png", PNG))
    admin.post(f"{PAGE}/1/delete")
    for path in (f"{PAGE}/1", f"{PAGE}/1/thumbnail", f"{PAGE}/1/playable", f"{PAGE}/99"):
        assert admin.get(path).status_code == 404
    for path in (f"{PAGE}/1/delete", f"{PAGE}/99/name"):
        assert admin.post(path, name="x").status_code == 404
    assert admin.get(f"{PAGE}?before=x").status_code == 400


def test_a_file_is_renamed_and_deleted(admin: Browser, engine: Engine) -> None:
    upload(admin, ("a.png", PNG))
    answer = admin.post(f"{PAGE}/1/name?kind=image&_external=1", name="<b>门店</b>")
    assert answer.location == f"{PAGE}?kind=image#f1"
    assert "&lt;b&gt;门店&lt;/b&gt;" in admin.get(PAGE).text
    admin.post(f"{PAGE}/1/name", name=" ")
    assert "没有改名：名称不能是空的。" in admin.get(PAGE).text
    assert admin.post(f"{PAGE}/1/delete").status_code == 303
    assert "还没有素材" in admin.get(PAGE).text
    assert audited(engine)[-3:] == ["library_added", "library_renamed", "library_deleted"]
    page = admin.get("/admin/audit").text
    assert all(words in page for words in ("加素材", "给素材改名", "删除素材"))


def test_a_file_in_use_says_where_and_stays(admin: Browser, library: Library) -> None:
    upload(admin, ("a.png", PNG))
    library.used_by = lambda connection, account_id: {1: [Usage("rule:7", "关注后欢迎")]}
    page = admin.get(PAGE).text
    assert "关注后欢迎" in page
    assert "/library/1/delete" not in page
    assert admin.post(f"{PAGE}/1/delete").status_code == 303
    assert "没有删除：“关注后欢迎”还在用它。" in admin.get(PAGE).text
    assert admin.get(f"{PAGE}/1").status_code == 200


def test_files_that_nothing_uses_are_listed_alone(admin: Browser, library: Library) -> None:
    upload(admin, ("a.png", PNG), ("b.gif", GIF))
    library.used_by = lambda connection, account_id: {1: [Usage("rule:7", "关注后欢迎")]}
    assert '<a class="badge bg-secondary-lt" href="/admin/rules/7">关注后欢迎</a>' in admin.get(PAGE).text
    page = admin.get(f"{PAGE}?unused=yes").text
    assert ("b.gif" in page, "a.png" in page) == (True, False)
    assert admin.post(f"{PAGE}/2/delete?unused=yes").location == f"{PAGE}?unused=yes#f2"


def test_the_permanent_copy_is_deleted_too_unless_a_menu_of_the_platform_uses_it(
    app: Flask, admin: Browser, api: FakeAPI
) -> None:
    used = api.give_media("image", PNG, "a", "", permanent=True)
    api.give_media("image", GIF, "b", "", permanent=True)
    api.set_console([{"type": "img", "name": "地图", "value": used}])
    admin.post("/admin/library/import")
    services(app).jobs.run_all()
    assert "微信上永久的副本也删去" in admin.get(PAGE).text
    admin.post(f"{PAGE}/1/delete", with_copy="yes")
    admin.post(f"{PAGE}/2/delete", with_copy="yes")
    page = admin.get(PAGE).text
    assert "没有删除：素材正被引用，不能删除（48005）" in page
    assert page.count("<h2>") == 1
    client = services(app).client
    assert client
    assert [item.media_id for item in client.material.iterate("image")] == [used]
    admin.post(f"{PAGE}/2/delete")
    assert "还没有素材" in admin.get(PAGE).text


def test_a_button_that_sends_a_file_uses_it(app: Flask, admin: Browser, api: FakeAPI) -> None:
    media_id = api.give_media("image", PNG, "a", "", permanent=True)
    bot = services(app)
    admin.post("/admin/library/import")
    bot.jobs.run_all()
    menu = (Button(name="门店地图", type="media_id", media_id=media_id),)
    versions.save(bot.engine, Actor(None, "li", ""), bot.account_id, "", menu)
    assert '<a class="badge bg-secondary-lt" href="/admin/menu">门店地图</a>' in admin.get(PAGE).text
    admin.post(f"{PAGE}/1/delete")
    assert "没有删除：“门店地图”还在用它。" in admin.get(PAGE).text


def test_the_material_of_the_platform_is_imported_with_progress_and_a_report(
    app: Flask, admin: Browser, api: FakeAPI
) -> None:
    sample_console.set_up(api)
    page = "/admin/library/import"
    assert "微信上永久的图片、语音和视频会存进素材" in admin.get(page).text
    assert admin.post(page).location == page
    running = admin.get(page).text
    assert "已看 0 / 0 件" in running
    assert 'hx-get="/admin/library/import/progress"' in running
    assert "HX-Refresh" not in admin.get(f"{page}/progress").headers
    services(app).jobs.run_all()
    assert admin.get(f"{page}/progress").headers["HX-Refresh"] == "true"
    report = admin.get(page).text
    assert "li 上次导入看了 6 件，新存入 4 件" in report
    assert "录音.wav" in report
    assert "内容不是这类消息该有的格式。" in report
    assert "http://mp.weixin.qq.com/s?" in admin.get(f"{page}?show=news").text
    assert "老板的话.mp3" in admin.get(PAGE).text


def test_an_import_that_fails_says_why(app: Flask, admin: Browser, api: FakeAPI) -> None:
    api.errcodes["/cgi-bin/material/get_materialcount"] = [40164]
    admin.post("/admin/library/import")
    services(app).jobs.run_all()
    page = admin.get("/admin/library/import").text
    assert "中断在 0 / 0 件" in page
    assert "40164" in page


def test_viewers_do_not_import(signed_in: SignIn) -> None:
    viewer = signed_in(Role.VIEWER, "viewer")
    assert "btn-primary" not in viewer.get("/admin/library/import").text
    assert viewer.post("/admin/library/import").status_code == 403


def test_a_page_tells_what_the_platform_has(
    admin: Browser, library: Library, app: Flask, api: FakeAPI
) -> None:
    upload(admin, ("a.png", PNG), ("b.gif", GIF))
    library.used_by = lambda connection, account_id: {1: [], 2: []}
    api.errcodes["/cgi-bin/media/upload"] = [45009]
    _renew(app)
    assert "没有传到微信：该接口当天的调用次数已用完（45009）" in admin.get(PAGE).text
    api.errcodes.clear()
    services(app).client.system.resume()  # type: ignore[union-attr]
    _renew(app)
    assert "微信上的副本还能用3天" in admin.get(PAGE).text


def _renew(app: Flask) -> None:
    services(app).library.renew(services(app).account_id, datetime.now(UTC))


def test_an_account_that_may_not_use_temporary_media_is_told_what_happens_instead(
    app: Flask, admin: Browser, api: FakeAPI
) -> None:
    upload(admin, ("a.png", PNG))
    assert "永久素材" not in admin.get(PAGE).text
    api.errcodes["/cgi-bin/media/upload"] = [48001]
    bot = services(app)
    bot.library.media_id(bot.account_id, 1, datetime.now(UTC))
    page = admin.get(PAGE).text
    assert "微信回答过 48001：账号没有临时素材接口，所以用永久素材代替" in page
    assert "微信上有永久的副本" in page


def test_viewers_read_and_cannot_change(app: Flask, admin: Browser, signed_in: SignIn) -> None:
    upload(admin, ("a.png", PNG))
    viewer = signed_in(Role.VIEWER, "viewer")
    page = viewer.get(PAGE).text
    assert "a.png" in page
    assert '<form method="post" action="/admin/library' not in page
    assert 'type="file"' not in page
    assert viewer.get(f"{PAGE}/1").status_code == 200
    assert upload(viewer, ("b.gif", GIF)).status_code == 403
    assert viewer.post(f"{PAGE}/1/delete").status_code == 403
    assert signed_in(Role.OPERATOR, "operator").post(f"{PAGE}/1/name", name="x").status_code == 303


def test_a_long_list_has_pages_and_few_statements(admin: Browser, library: Library, app: Flask) -> None:
    account_id, actor = services(app).account_id, Actor(None, "li", "")
    for number in range(30):
        library.add(actor, account_id, f"file {number:02}", GIF + bytes(number))
    library.add(actor, account_id, "film", MP4)
    with statements() as sent:
        page = admin.get(PAGE).text
    assert len(sent) < 12
    assert page.count("<h2>") == 24
    assert f"{PAGE}?before=8" in page
    assert admin.get(f"{PAGE}?before=8").text.count("<h2>") == 7
    assert admin.get(f"{PAGE}?kind=video").text.count("<h2>") == 1
    assert "这里没有文件" in admin.get(f"{PAGE}?kind=voice").text
