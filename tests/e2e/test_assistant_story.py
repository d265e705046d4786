"""The assistant and a person beside it, from a follower's question to a better answer, in a real browser."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from playwright.sync_api import Page, expect

from tests.conftest import MakeApp
from tests.e2e.conftest import OpenConsole
from tests.e2e.console import Console, check_page
from wechat_bot.services.assistant.profile import AssistantProfile
from wechat_bot.services.audit import Actor
from wechat_bot.services.knowledge import pairs
from wechat_bot.services.knowledge.pairs import Pair
from wechat_bot.testing import FakeModel, FakePlatform, listening
from wechat_bot.wiring import Services, services

ACTOR = Actor(None, "小李", "")
KNOWN, ANSWER = "几天发货？", "付款后三天内发货。"
UNKNOWN = "月亮上种得了茶吗"
WORDS = {
    "zh-CN": {
        "why": "为什么这样回答",
        "bot": "机器人在回答",
        "waiting": "等人工",
        "mine": "你在回答",
        "give back": "交还给机器人",
        "note": "说了什么",
        "learn": "加入知识库",
    },
    "en-US": {
        "why": "Why this answer",
        "bot": "The bot answers",
        "waiting": "Waits for a person",
        "mine": "You answer",
        "give back": "Give back to the bot",
        "note": "What was said",
        "learn": "Add to the knowledge base",
    },
}


@pytest.fixture
def model() -> Iterator[str]:
    with listening(FakeModel()) as address:
        yield f"{address}/v1"


@pytest.fixture
def desk(open_console: OpenConsole, make_app: MakeApp, model: str) -> Console:
    """Of an account whose assistant knows one thing."""
    desk = open_console(make_app())
    bot = services(desk.app)
    profile = AssistantProfile(enabled=True, base_url=model, model="stand-in", unknown_text="我不知道。")
    bot.profiles.save(ACTOR, bot.account_id, 0, profile, None)
    pairs.add_all(bot.engine, ACTOR, bot.account_id, [Pair(KNOWN, ANSWER)])
    return desk


@pytest.mark.parametrize(("language", "width"), [("zh-CN", 1440), ("en-US", 390)])
def test_a_question_is_answered_handed_over_given_back_and_learned(
    desk: Console, language: str, width: int
) -> None:
    words, bot = WORDS[language], services(desk.app)
    follower = FakePlatform.of(desk.app).follower("oAsker")
    assert ANSWER in str(follower.text(KNOWN))
    follower_id = desk.says("oAsker")
    desk.catch_up()
    here = f"/admin/conversations/{follower_id}"
    page = desk.sign_in(here, name="小王", language=language)
    page.set_viewport_size({"width": width, "height": 844})
    see_why(page, words)
    page.goto(here)
    expect(page.locator("#owner")).to_contain_text(words["bot"])
    assert "我不知道" in str(follower.text(UNKNOWN))
    assert "转人工" in str(follower.text(f"{UNKNOWN}，木星呢"))
    talk(page, follower, words, desk)
    assert ANSWER in str(follower.text(KNOWN))
    learn(page, words, bot)
    assert "月球上还没有茶园" in str(FakePlatform.of(desk.app).follower("oOther").text(UNKNOWN))


def see_why(page: Page, words: dict[str, str]) -> None:
    page.get_by_role("link", name=words["why"]).click()
    expect(page.locator("main")).to_contain_text(KNOWN)
    expect(page.locator("main")).to_contain_text("stand-in")
    check_page(page)


def talk(page: Page, follower: FakePlatform, words: dict[str, str], desk: Console) -> None:
    """Take the conversation, answer, and give it back, without loading a page."""
    expect(page.locator("#owner")).to_contain_text(words["waiting"])
    check_page(page)
    page.evaluate("window.stayed = true")
    page.locator("#log").focus()
    page.keyboard.press("o")
    expect(page.locator("#owner")).to_contain_text(words["mine"])
    assert follower.text(KNOWN) is None, "the bot is silent"
    page.locator("#reply").fill("我是小王，月球上还没有茶园。")
    page.keyboard.press("Control+Enter")
    expect(page.locator(".bubble.out").last).to_contain_text("我是小王")
    expect(page.locator(".unsent")).to_have_count(0)
    assert follower.text("好") == "我是小王，月球上还没有茶园。"
    page.locator("#owner summary").click()
    check_page(page)
    page.get_by_label(words["note"]).fill("问的是月球")
    page.get_by_role("button", name=words["give back"]).click()
    expect(page.locator("#owner")).to_contain_text(words["bot"])
    assert page.evaluate("window.stayed")
    desk.catch_up()


def learn(page: Page, words: dict[str, str], bot: Services) -> None:
    """Make knowledge of what nobody could answer."""
    bot.questions.catch_up(60)
    page.goto("/admin/questions")
    page.get_by_role("link", name=UNKNOWN, exact=True).click()
    page.get_by_role("link", name=words["learn"]).click()
    page.locator("textarea[name=answer]").fill("月球上还没有茶园。")
    page.locator("main form .btn-primary").first.click()
    page.wait_for_load_state()


def test_when_the_budget_is_used_up_the_bot_goes_on_without_the_model(desk: Console) -> None:
    bot, follower = services(desk.app), FakePlatform.of(desk.app).follower("oAsker")
    stored = bot.profiles.latest(bot.account_id)
    assert ANSWER in str(follower.text(KNOWN))
    small = replace(stored.profile, daily_tokens=1)
    bot.profiles.save(ACTOR, bot.account_id, stored.version, small, None)
    assert "没有听懂" in str(follower.text(KNOWN))
    page = desk.sign_in(f"/admin/conversations/{desk.says('oAsker')}", name="小王")
    expect(page.locator(".model-answer").last).to_contain_text("超出了限制")
    check_page(page)
    page.goto("/admin/health")
    expect(page.locator("main")).to_contain_text("预算")
