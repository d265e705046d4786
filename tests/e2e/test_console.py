"""The console in a real browser: what operators do in a day, in both languages, widths and themes."""

from __future__ import annotations

import re
from datetime import datetime
from zoneinfo import ZoneInfo

from playwright.sync_api import Page, expect
from sqlalchemy import select

from tests.e2e.console import Console, check_on_all_screens, expect_no_script, for_everybody
from tests.hostile import PUSHED
from tests.operators import PASSWORD
from wechat_bot.extensions import db
from wechat_bot.models import Conversation, ConversationStatus, Follower, MessageLog, Note, Role
from wechat_bot.pseudonyms import pseudonym
from wechat_bot.services.audit import Actor
from wechat_bot.services.followers import profiles
from wechat_bot.services.operators import management
from wechat_bot.testing import FakePlatform
from wechat_bot.wiring import services

PAGES = [
    "/admin/conversations?tab=all",
    "/admin/conversations?sort=closing",
    "/admin/conversations?tab=starred&status=open&q=nothing-like-this",
    "/admin/conversations/views",
    "/admin/conversations/3",
    "/admin/messages",
    "/admin/messages?q=退款&whose=",
    "/admin/messages/5",
    "/admin/messages/5/raw",
    "/admin/messages?kind=nothing&q=nothing-like-this",
    "/admin/followers",
    "/admin/followers?sort=name&scene=nothing",
    "/admin/followers/3",
    "/admin/followers/3/erase",
    "/admin/rules",
    "/admin/rules/bench",
    "/admin/rules/scenarios",
    "/admin/rules/scenarios/new?message=5",
    "/admin/questions",
    "/admin/evaluations",
    "/admin/evaluations/new",
    "/admin/canned",
    "/admin/canned/new",
    "/admin/library",
    "/admin/library/import",
    "/admin/assistant",
    "/admin/assistant/history",
    "/admin/menu",
    "/admin/menu/try",
    "/admin/import",
    "/admin/alerts",
    "/admin/alerts/new/feishu",
    "/admin/alerts/new/mail",
    "/admin/health",
    "/admin/operators",
    "/admin/audit",
    "/admin/audit?action=nothing",
    "/admin/personal-data",
    "/admin/operators/1",
    "/admin/operators/new",
    "/admin/profile",
    "/admin/profile/second-factor",
]


@for_everybody
def test_every_page_fits_and_can_be_read_by_everybody(console: Console, language: str, scheme: str) -> None:
    page = console.open_page("/admin/", language, color_scheme=scheme)
    check_on_all_screens(page)
    page = console.sign_in(language=language, color_scheme=scheme)
    expect(page.locator("html")).to_have_attribute("lang", language[:2])
    expect(page.locator("html")).to_have_attribute("data-bs-theme", scheme)
    for path in PAGES:
        page.goto(path)
        check_on_all_screens(page)


def test_a_day_of_an_operator(console: Console) -> None:
    follower_id = console.says("oFollowerWithAQuestion", "你好", "我要退款，订单 20261124", "在吗")
    page = console.sign_in(name="小王")
    page.get_by_role("searchbox", name="搜索所有消息").fill("退款 20261124")
    page.keyboard.press("Enter")
    expect(page.locator("mark").first).to_have_text("退款")
    page.locator("tbody tr", has_text="20261124").locator(".person a").click()
    expect(page.locator(".here")).to_contain_text("我要退款")
    page.wait_for_load_state()  # the key is for its scripts

    expect(page.locator("#way-note")).to_have_attribute("tabindex", "-1")  # the page's script is there
    page.keyboard.press("n")
    page.locator("#note").fill("已经答应退款 @admin")
    page.get_by_role("button", name="记下").click()
    expect(page.locator(".bubble.note")).to_contain_text("已经答应退款 @admin")
    page.get_by_label("备注名").fill("王姐")
    page.locator("form", has=page.get_by_label("备注名")).get_by_role("button").click()
    expect(page.locator("h1")).to_have_text("王姐")
    page.get_by_label("加标签").fill("退款")
    page.keyboard.press("Enter")
    expect(page.locator(".card-side .badge", has_text="退款")).to_be_visible()
    page.get_by_role("button", name="分配给我").click()
    page.get_by_role("button", name="已处理").click()
    expect(page.locator("#announcement")).to_have_text("王姐：已处理")
    with console.app.app_context():
        thread = db.session.get_one(Conversation, follower_id)
        assert (thread.status, thread.waiting_since) == (ConversationStatus.DONE, None)
        assert db.session.scalars(select(Note.text)).all() == ["已经答应退款 @admin"]

    page.get_by_text("小王").first.click()
    page.get_by_role("button", name="退出登录").click()
    expect(page).to_have_url(re.compile("/admin/sign-in"))
    boss = console.sign_in(name="admin")
    boss.locator(".mentions").click()
    expect(boss.locator(".inbox-list li")).to_have_count(1)
    expect(boss.locator(".inbox-list .who")).to_have_text("王姐")


def test_the_first_admin_signs_in_and_takes_a_password_with_the_keyboard_alone(console: Console) -> None:
    first = "as-it-was-printed"
    with console.app.app_context():
        management.create(db.engine, Actor(None, "first start", ""), "newcomer", Role.ADMIN, first)
    page = console.open_page("/admin/followers")
    page.locator("[name=name]").focus()
    press(page, "newcomer", "Tab", first, "Enter")
    expect(page.locator("h1")).to_have_text("换一个密码")
    check_on_all_screens(page)
    page.locator("[name=current]").focus()
    press(page, first, "Tab", "1234567890", "Tab", "1234567890", "Enter")
    expect(page.get_by_role("alert")).to_contain_text("太容易猜到")
    check_on_all_screens(page)
    page.locator("[name=current]").focus()
    press(page, first, "Tab", PASSWORD, "Tab", PASSWORD, "Enter")
    page.wait_for_url(re.compile("/admin/followers$"))


def press(page: Page, *what: str) -> None:
    """Press the keys Tab and Enter, and type anything else."""
    for keys in what:
        page.keyboard.press(keys) if keys in {"Tab", "Enter"} else page.keyboard.type(keys)


def test_the_back_button_brings_the_view_back(console: Console) -> None:
    page = console.sign_in("/admin/messages?direction=in&kind=text")
    first = page.locator("tbody tr").first.inner_text()
    page.get_by_role("link", name="更早的").click()
    page.wait_for_url(re.compile("before="))
    page.locator("tbody .person a").first.click()
    page.wait_for_url(re.compile("/conversations/"))
    page.go_back()
    page.go_back()
    expect(page).to_have_url(re.compile(r"direction=in&kind=text$"))
    assert page.locator("tbody tr").first.inner_text() == first


def test_a_follower_is_chosen_while_typing(console: Console) -> None:
    console.says("oChosenOne", "我的包裹到哪了")
    page = console.sign_in("/admin/messages?direction=in")
    page.get_by_label("粉丝或标签").press_sequentially("enone")
    page.locator("#choices a").click()
    page.wait_for_url(re.compile(r"direction=in&follower=\d+$"))
    expect(page.locator("tbody tr")).to_have_count(1)
    expect(page.locator("tbody tr")).to_contain_text("我的包裹到哪了")
    page.locator(".chip", has_text=pseudonym("oChosenOne")).click()
    page.wait_for_url(re.compile(r"direction=in$"))


def test_the_order_of_the_list_stays_while_one_works_through_it(console: Console) -> None:
    for number in range(3):
        console.says(f"oWorkedOn{number}", "有人吗")
    page = console.sign_in("/admin/conversations?sort=newest")
    page.locator(".inbox-list a", has_text=pseudonym("oWorkedOn2")).click()
    for number in (2, 1):
        expect(page.locator(".talk h1")).to_contain_text(pseudonym(f"oWorkedOn{number}"))
        page.keyboard.press("e")
        expect(page.locator(".talk h1")).to_contain_text(pseudonym(f"oWorkedOn{number - 1}"))
        expect(page).to_have_url(re.compile(r"/conversations/\d+\?sort=newest$"))
    page.reload()
    expect(page.locator(".inbox-list a").first).to_contain_text(pseudonym("oWorkedOn0"))


def test_the_keyboard_alone_leads_from_signing_in_to_a_found_message(console: Console) -> None:
    console.says("oTypist", "钥匙丢了怎么办")
    page = console.open_page("/admin/")
    page.locator("[name=name]").focus()
    press(page, "admin", "Tab", PASSWORD, "Enter")
    page.wait_for_url(re.compile("/admin/conversations"))
    page.keyboard.press("/")
    page.keyboard.type("钥匙")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile("q="))
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    expect(page.locator("#drawer")).to_contain_text("钥匙丢了怎么办")
    page.keyboard.press("Escape")
    expect(page.locator("#drawer")).to_be_hidden()
    page.keyboard.press("?")
    expect(page.locator("#shortcuts")).to_be_visible()
    page.keyboard.press("Escape")
    page.keyboard.press("Control+k")
    page.keyboard.type("粉丝")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile("/admin/followers"))


def test_what_arrives_shows_by_itself_and_moves_nothing(console: Console) -> None:
    follower_id = console.says("oChatty", "第一句")
    page = console.sign_in("/admin/messages")
    expect(page.locator(".live")).to_have_attribute("data-state", "on")
    rows = page.locator("tbody tr").all_inner_texts()
    console.says("oChatty", "第二句")
    bar = page.locator(".arrived")
    expect(bar).to_contain_text("新消息")
    assert page.locator("tbody tr").all_inner_texts() == rows
    bar.click()
    expect(page.locator("tbody")).to_contain_text("第二句")

    page.goto(f"/admin/conversations/{follower_id}")
    console.says("oChatty", "第三句")
    expect(page.locator("#log")).to_contain_text("第三句")
    expect(page.locator("#log .bubble", has_text="第三句")).to_have_count(1)
    expect(page.get_by_role("log", name="新消息")).to_contain_text("第三句")


def test_a_conversation_that_begins_to_wait_is_in_the_title_and_heard_by_who_wants_to(
    console: Console,
) -> None:
    page = console.sign_in("/admin/profile")
    page.add_init_script("""window.rung = 0;
        window.AudioContext = class extends AudioContext { constructor() { super(); window.rung += 1; } }""")
    page.get_by_label("有新的待处理对话时响一声").check()
    page.get_by_role("button", name="保存").click()
    page.goto("/admin/conversations")
    title = re.compile(r"^\((\d+)\) ")
    expect(page).to_have_title(title)
    found = title.match(page.title())
    assert found
    assert page.evaluate("window.rung") == 0
    console.says("oNew", "有人吗")
    console.catch_up()
    expect(page).to_have_title(re.compile(rf"^\({int(found[1]) + 1}\) "))
    assert page.evaluate("window.rung") == 1


def test_older_messages_come_while_scrolling_up_and_a_date_can_be_jumped_to(console: Console) -> None:
    follower_id = console.says("oLong", *[f"第 {number} 句" for number in range(70)])
    console.catch_up()
    page = console.sign_in(f"/admin/conversations/{follower_id}")
    expect(page.locator("#log")).to_contain_text("第 69 句")
    page.locator("#log").evaluate("log => { log.scrollTop = 0 }")
    expect(page.locator("#log")).to_contain_text("第 30 句")
    page.locator("#log").evaluate("log => { log.scrollTop = 0 }")
    expect(page.locator("#log")).to_contain_text("第 0 句")
    texts = page.locator("#log .bubble.in .text").all_inner_texts()
    assert texts == [f"第 {number} 句" for number in range(70)], "each once, in their order"
    page.locator(".talk-find summary").click()
    page.get_by_label("跳到日期").fill(f"{datetime.now(ZoneInfo('Asia/Shanghai')):%Y-%m-%d}")
    page.get_by_role("button", name="跳到").click()
    expect(page.locator(".talk-find[open]")).to_have_count(0)
    expect(page.locator("#log")).to_contain_text("第 0 句")
    page.wait_for_load_state()
    page.keyboard.press("f")
    page.keyboard.type("第 42 句")
    page.keyboard.press("Enter")
    expect(page.locator(".story li")).to_have_count(1)
    page.locator(".story a").click()
    expect(page.locator(".here")).to_contain_text("第 42 句")


def test_the_whole_console_works_without_javascript(console: Console) -> None:
    follower_id = console.says("oPlain", "没有脚本也行")
    page = console.open_page("/admin/messages?q=没有脚本", java_script_enabled=False)
    page.locator("[name=name]").focus()
    press(page, "小王", "Tab", PASSWORD, "Enter")
    page.locator("tbody .content a").first.click()
    expect(page.locator("main")).to_contain_text("没有脚本也行")
    page.goto(f"/admin/conversations/{follower_id}")
    page.locator("#note").fill("纯表单")
    page.get_by_role("button", name="记下").click()
    expect(page.locator(".bubble.note")).to_contain_text("纯表单")
    page.get_by_role("button", name="已处理").click()
    with console.app.app_context():
        assert db.session.get_one(Conversation, follower_id).status == ConversationStatus.DONE


def test_a_viewer_reads_and_changes_nothing(console: Console) -> None:
    follower_id = console.says("oRead", "只读")
    page = console.sign_in(f"/admin/conversations/{follower_id}", name="看客")
    expect(page.locator("#log")).to_contain_text("只读")
    expect(page.locator("main form[method=post]")).to_have_count(0)
    page.goto("/admin/messages")
    expect(page.locator("main form[method=post]")).to_have_count(1)  # which columns one likes to see


def test_an_export_can_be_taken_away(console: Console) -> None:
    console.says("oExport", "=1+1 导出我")
    page = console.sign_in("/admin/messages?q=导出我", name="小王")
    page.locator("summary", has_text="导出").click()
    with page.expect_download() as download:
        page.get_by_text("CSV · Excel").click()
    text = download.value.path().read_text(encoding="utf-8")
    assert text.startswith("\ufeff")
    assert "'=1+1 导出我" in text


def test_nothing_that_followers_or_operators_write_runs(console: Console) -> None:
    platform = FakePlatform.of(console.app).follower("oHostile")
    for text in PUSHED.values():
        short = text[:3000]
        link = {"Title": short, "Description": short, "Url": short}
        for fields in (platform.message("text", Content=short), platform.message("link", **link)):
            assert platform.push_once(fields).status == 200
    with console.app.app_context():
        follower_id = db.session.scalars(select(Follower.id).where(Follower.openid == "oHostile")).one()
        last = db.session.scalar(select(MessageLog.id).order_by(MessageLog.id.desc()))
        actor, bot = Actor(1, "admin", ""), services()
        ours = db.engine, bot.capabilities, actor, bot.account_id
        for text in PUSHED.values():
            profiles.rename(*ours, follower_id, text[:64])
            profiles.tag(*ours, [follower_id], text[:32])
    page: Page = console.sign_in("/admin/messages")
    for path in (
        "/admin/messages",
        f"/admin/messages/{last}",
        f"/admin/messages/{last}/raw",
        f"/admin/conversations/{follower_id}",
        f"/admin/conversations/{follower_id}?find=script",
        f"/admin/followers/{follower_id}",
        "/admin/followers",
        "/admin/conversations?tab=all",
        "/admin/audit",
        "/admin/messages?q=%3Cscript%3E",
    ):
        page.goto(path)
        expect_no_script(page)
