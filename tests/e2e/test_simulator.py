"""The simulator in a real browser: a newcomer's first minute, and a developer's day."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from flask import Flask
from playwright.sync_api import Browser, Page, expect

from tests.conftest import APP_SECRET, MakeApp
from tests.e2e.conftest import OpenPage, opening_pages
from tests.e2e.console import check_on_all_screens, for_everybody
from tests.waiting import PATIENCE
from wechat_bot import handlers
from wechat_bot.routing import Answer, Context, Router, keyword
from wechat_bot.settings import Settings, Switch
from wechat_bot.testing import NOTICE, FakeAPI, FileStore, listening
from wechat_bot.wechat.messages import TextMessage

PATH = "/simulator/"


@dataclass
class Bench:
    """A running application whose slow handler answers when it is let."""

    app: Flask
    api: FakeAPI
    open_page: OpenPage
    go_on: threading.Event
    runs: list[str] = field(default_factory=list)


@pytest.fixture
def make_bench(make_app: MakeApp, settings: Settings, tmp_path: Path, chromium: Browser) -> Iterator[MakeApp]:
    with ExitStack() as stack:

        def make(**changes: object) -> Bench:
            credentials = replace(settings, wechat_app_secret=APP_SECRET).credentials
            api = FakeAPI(credentials, store=FileStore(tmp_path / "instance" / "simulator"))
            router, go_on, runs = Router(), threading.Event(), []

            @router.on(TextMessage, keyword("慢"), slow=True)
            def think(message: TextMessage, ctx: Context) -> Answer:
                runs.append(message.msg_id)
                assert go_on.wait(PATIENCE)
                return "想好了"

            router.include(handlers.router)
            app = make_app(router, api, **{"wechat_app_secret": APP_SECRET, **changes})
            address = stack.enter_context(listening(app))
            open_page = stack.enter_context(opening_pages(chromium, address))
            stack.callback(go_on.set)
            return Bench(app, api, open_page, go_on, runs)

        yield make  # type: ignore[misc]


@pytest.fixture
def bench(make_bench: MakeApp) -> Bench:
    return make_bench()  # type: ignore[return-value]


def say(page: Page, text: str) -> None:
    page.locator("#text").fill(text)
    page.locator("#text").press("Enter")


def bubbles(page: Page, text: str) -> int:
    return page.locator("#log .bubble", has_text=text).count()


@for_everybody
def test_the_first_minute(bench: Bench, language: str, scheme: str) -> None:
    page = bench.open_page(PATH, language, color_scheme=scheme)
    expect(page.locator("html")).to_have_attribute("lang", language[:2])
    check_on_all_screens(page)
    page.locator("#hint button").click()
    expect(page.locator("#log .bubble", has_text="我会这些")).to_be_visible()
    expect(page.locator("#timeline rect.good")).to_have_count(1)
    check_on_all_screens(page)
    for tab in ("push", "platform"):
        page.locator(f"#tab-{tab}").click()
        expect(page.locator(f"#tab-{tab}")).to_have_attribute("aria-current", "page")
        check_on_all_screens(page)
    words = page.locator("#panel").inner_text().replace("小明", "")
    assert bool(re.search(r"[\u4e00-\u9fff]", words)) == (language == "zh-CN")


def test_with_the_keyboard_alone(bench: Bench) -> None:
    page = bench.open_page(PATH)
    page.keyboard.type("改名")
    page.keyboard.press("Enter")
    expect(page.locator("#log")).to_contain_text("怎么称呼你")
    page.keyboard.type("小明")
    page.keyboard.press("Enter")
    expect(page.locator("#log")).to_contain_text("好的，小明。")
    expect(page.locator("#text")).to_be_focused()
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator("#log .bubble img")).to_be_visible()
    expect(page.locator("#log")).to_contain_text("收到你的图片")


def test_following_scanning_and_tapping(bench: Bench) -> None:
    with bench.api.store.opened() as state:
        state.menu = [{"type": "click", "name": "帮助", "key": "MENU_HELP"}]
    page = bench.open_page(PATH)
    page.locator(".add-person button").click()
    page.locator("#follow button").click()
    expect(page.locator("#log")).to_contain_text("欢迎关注！")
    page.locator(".more > summary").click()
    page.locator("[name=scene]").fill("door")
    page.locator("[name=scene]").press("Enter")
    expect(page.locator("#log")).to_contain_text("你扫描了「door」的二维码")
    page.locator("#menu-bar button").click()
    expect(page.locator("#log .bubble", has_text="我会这些")).to_be_visible()
    expect(page.locator("#people a")).to_have_count(2)
    page.locator("#people a").first.click()
    expect(page.locator("#hint")).to_be_visible()


def test_the_current_follower_is_in_view(bench: Bench) -> None:
    page = bench.open_page(PATH, width=390)
    for number in range(2, 8):
        page.locator(".add-person button").click()
        expect(page.locator("#people a")).to_have_count(number)
        expect(page.locator("#people [aria-current]")).to_be_in_viewport(ratio=1)
    page.reload()
    expect(page.locator("#people [aria-current]")).to_be_in_viewport(ratio=1)
    expect(page.locator("#people a").first).not_to_be_in_viewport()


def test_a_menu_closes_after_a_choice_and_gives_the_focus_back(bench: Bench) -> None:
    with bench.api.store.opened() as state:
        state.menu = [{"name": "更多", "sub_button": [{"type": "click", "name": "帮助", "key": "MENU_HELP"}]}]
    page = bench.open_page(PATH)
    opener, choice = page.locator("#menu-1 summary"), page.locator("#menu-1 button")
    opener.click()
    choice.press("Enter")
    expect(page.locator("#log .bubble", has_text="我会这些")).to_be_visible()
    expect(choice).to_be_hidden()
    expect(opener).to_be_focused()


@pytest.mark.parametrize("java_script_enabled", [True, False])
def test_clearing_everything_asks_first(bench: Bench, java_script_enabled: bool) -> None:
    page = bench.open_page(PATH, java_script_enabled=java_script_enabled)
    page.locator("#hint button").click()
    expect(page.locator("#log .bubble", has_text="我会这些")).to_be_visible()
    page.locator(".more > summary").click()
    page.locator(".reset summary").click()
    expect(page.locator(".reset")).to_contain_text("不能恢复")
    expect(page.locator("#log .bubble", has_text="我会这些")).to_be_visible()
    page.locator(".reset button").click()
    expect(page.locator("#hint")).to_be_visible()


def test_what_was_said_shows_in_the_console(bench: Bench) -> None:
    page = bench.open_page(PATH)
    say(page, "帮助")
    expect(page.locator("#why a")).to_have_attribute("href", re.compile("/admin/messages/"))
    expect(page.locator("#why")).to_contain_text("show_help")


def test_an_answer_on_the_third_push_comes_once(make_bench: MakeApp) -> None:
    bench: Bench = make_bench(wechat_customer_service=Switch.NO, wechat_answer_seconds=3.0)  # type: ignore[assignment]
    page = bench.open_page(PATH)
    say(page, "慢")
    expect(page.locator("#timeline tbody tr")).to_have_count(3)
    bench.go_on.set()
    expect(page.locator("#timeline rect.good")).to_have_count(1)
    expect(page.locator("#timeline rect.bad")).to_have_count(2)
    assert len(bench.runs) == 1
    assert bubbles(page, "想好了") == 1


def test_a_late_answer_comes_by_itself_and_once(make_bench: MakeApp) -> None:
    bench: Bench = make_bench(wechat_answer_seconds=0.3, wechat_customer_service=Switch.YES)  # type: ignore[assignment]
    page = bench.open_page(PATH)
    say(page, "慢")
    expect(page.locator("#log .trace")).to_contain_text("没有回复")
    bench.go_on.set()
    expect(page.locator("#log .bubble", has_text="想好了")).to_be_visible()
    expect(page.locator("#log .trace", has_text="客服消息")).to_have_count(2)
    expect(page.locator("#head")).to_contain_text("收到客服消息")
    expect(page.locator("#timeline .arrival")).to_be_visible()
    assert (len(bench.runs), bubbles(page, "想好了")) == (1, 1)


def test_a_used_up_quota_keeps_the_late_answer_back(make_bench: MakeApp) -> None:
    bench: Bench = make_bench(wechat_answer_seconds=0.3, wechat_customer_service=Switch.YES)  # type: ignore[assignment]
    page = bench.open_page(PATH)
    say(page, "慢")
    expect(page.locator("#log .trace")).to_contain_text("没有回复")
    with bench.api.store.opened() as state:
        for follower in state.followers.values():
            follower.window_left = 0
    bench.go_on.set()
    page.locator("#tab-platform").click()
    expect(page.locator("#calls")).to_contain_text("custom/send")
    expect(page.locator("#clock")).to_contain_text("还能发 0 条")
    assert bubbles(page, "想好了") == 0


def test_safe_mode_and_a_wrong_key(make_bench: MakeApp) -> None:
    bench: Bench = make_bench(wechat_message_mode="safe")  # type: ignore[assignment]
    page = bench.open_page(PATH)
    say(page, "帮助")
    expect(page.locator("#log .bubble", has_text="我会这些")).to_be_visible()
    expect(page.locator("#request")).to_contain_text("<Encrypt>")
    page.locator("#d-msg_signature summary").click()
    expect(page.locator("#d-msg_signature")).to_contain_text("SHA-1")
    page.locator("#tab-platform").click()
    page.locator("select[name=fault]").first.select_option("key")
    expect(page.locator("#phone-mode")).to_contain_text("AES 密钥错误")
    say(page, "帮助")
    expect(page.locator("#log .notice")).to_have_text(NOTICE)
    page.locator("#tab-exchange").click()
    expect(page.locator("#timeline .bad").first).to_be_visible()


def test_without_javascript(bench: Bench) -> None:
    page = bench.open_page(PATH, java_script_enabled=False)
    page.locator("#text").fill("帮助")
    page.locator(".composer button").click()
    expect(page.locator("#log .bubble", has_text="我会这些")).to_be_visible()


@for_everybody
def test_a_flood_is_drawn_as_it_happens(bench: Bench, language: str, scheme: str) -> None:
    page = bench.open_page(PATH, language, color_scheme=scheme)
    page.locator("#tab-flood").click()
    check_on_all_screens(page)
    page.locator("[name=followers]").fill("3")
    page.locator("#start").click()
    expect(page.locator("#picture .waiting").first).to_be_visible()
    expect(page.locator("#ordinary circle").first).to_be_visible()
    check_on_all_screens(page)
    bench.go_on.set()
    expect(page.locator("#start")).to_be_visible()
    last_column = page.locator("#picture g:last-of-type")
    expect(last_column.locator(".waiting, .silent, .notice")).to_have_count(0)
    answered, late, *others = page.locator("tbody tr:last-child td").all_inner_texts()
    assert (int(answered) + int(late), others[:4]) == (3, ["0"] * 4)
    assert last_column.locator("rect").count() == sum(count != "0" for count in (answered, late))
    sent = page.locator("#ordinary circle").count()
    assert sum(map(int, page.locator("tbody td:nth-of-type(7)").all_inner_texts())) == sent
    assert page.locator("#picture g").count() == page.locator("tbody tr").count()
    expect(page.locator("#summary")).to_contain_text(re.compile(rf"\b3 .*\b{sent}\b", re.DOTALL))
    check_on_all_screens(page)
    words = page.locator("main").inner_text().replace("帮助", "")
    assert bool(re.search(r"[\u4e00-\u9fff]", words)) == (language == "zh-CN")


def test_a_flood_is_stopped_without_javascript(bench: Bench) -> None:
    page = bench.open_page(f"{PATH}flood", java_script_enabled=False)
    page.locator("#start").click()
    page.locator("#stop").click()
    expect(page.locator("#start")).to_be_visible()
    expect(page.locator("#summary")).to_contain_text("高峰被停止，100 人没有等到结果")
