"""What an import makes of the platform's console: the documented samples, and any other set-up."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.routing.test_rules import answering, rule_set, text
from tests.simulator.test_console import BUTTONS, REPLIES
from wechat_bot.routing.answers import ImageAnswer, NewsAnswer, PreparedArticle, TextAnswer, VoiceAnswer
from wechat_bot.routing.definitions import MatchKind, Pattern, Pick, Rule, Trigger, TriggerKind
from wechat_bot.services.rules.conversion import (
    Item,
    Note,
    NoteCode,
    Outcome,
    Report,
    Source,
    convert,
    files_in,
)
from wechat_bot.wechat.api.menu import Button, CurrentMenu
from wechat_bot.wechat.api.system import AutoReplies
from wechat_bot.wechat.api.values import convert as read

NO_REPLIES = AutoReplies()
NO_MENU = CurrentMenu(False)
FILES = {"MeDiA": 7, "VoIcE": 8}


def replies(*rules: dict[str, Any], **more: Any) -> AutoReplies:
    return read(
        AutoReplies, {"is_autoreply_open": 1, "keyword_autoreply_info": {"list": list(rules)}, **more}
    )


def rule(
    name: str = "价格", *keywords: tuple[str, str], at: int = 0, say: Any = "十元", mode: str = "reply_all"
) -> dict[str, Any]:
    answers = say if isinstance(say, list) else [{"type": "text", "content": say}]
    return {
        "rule_name": name,
        "create_time": at,
        "reply_mode": mode,
        "keyword_list_info": [
            {"type": "text", "match_mode": mode, "content": word}
            for mode, word in keywords or (("contain", name),)
        ],
        "reply_list_info": answers,
    }


def only(report: Report) -> Item:
    [item] = report.items
    return item


def codes(item: Item) -> list[NoteCode]:
    return [note.code for note in item.notes]


def names(report: Report) -> list[str]:
    return [rule.name for rule in report.rules]


# The documented samples (sections 7.17 and 7.3)


def test_the_documented_replies_become_rules() -> None:
    found = read(AutoReplies, REPLIES)
    assert files_in(found, NO_MENU) == {"MeDiA": "image"}
    report = convert(found, NO_MENU, FILES)
    article = PreparedArticle("新品", "http://mp.weixin.qq.com/s?a", "摘要", "http://mmbiz.qpic.cn/a")
    assert report.rules == (
        Rule("被关注回复", Trigger(TriggerKind.FOLLOWED), (TextAnswer("欢迎"),)),
        Rule(
            "新品",
            Trigger(TriggerKind.TEXT),
            (NewsAnswer((article,)),),
            (Pattern(MatchKind.WHOLE, "新品"),),
            pick=Pick.RANDOM,
        ),
        Rule("收到消息回复", Trigger(TriggerKind.NOTHING_MATCHED), (ImageAnswer(7),)),
    )
    assert report.counts == {Outcome.TAKEN: 3}
    assert report.menu == ()


def test_the_documented_menu_becomes_keys_and_rules() -> None:
    menu = CurrentMenu(True, BUTTONS)
    assert files_in(NO_REPLIES, menu) == {
        "MeDiA": "image",
        "VoIcE": "voice",
        "https://v.example.com/": "video",
    }
    report = convert(NO_REPLIES, menu, {**FILES, "https://v.example.com/": "address"})
    assert report.menu == (
        Button("电话", "click", key="imported-1"),
        Button(
            "更多",
            sub_button=(
                Button("地图", "click", key="imported-2"),
                Button("语音", "click", key="imported-3"),
                BUTTONS[1].sub_button[2],
                Button("新品", "click", key="imported-5"),
                BUTTONS[1].sub_button[4],
            ),
        ),
    )
    assert [(item.name, item.outcome) for item in report.items] == [
        ("电话", Outcome.TAKEN),
        ("更多 › 地图", Outcome.TAKEN),
        ("更多 › 语音", Outcome.TAKEN),
        ("更多 › 视频", Outcome.IMPOSSIBLE),
        ("更多 › 新品", Outcome.TAKEN),
        ("更多 › 视频号", Outcome.IMPOSSIBLE),
    ]
    assert report.items[3].notes[0] == Note(NoteCode.CHOOSE_AGAIN, "address")
    assert report.items[5].notes == (Note(NoteCode.BUTTON_KIND, "finder"),)
    assert [(rule.trigger.keys, rule.answers) for rule in report.rules][:3] == [
        (("imported-1",), (TextAnswer("010-1234567"),)),
        (("imported-2",), (ImageAnswer(7),)),
        (("imported-3",), (VoiceAnswer(8),)),
    ]


def test_an_account_without_anything_has_an_empty_report() -> None:
    report = convert(NO_REPLIES, NO_MENU, {})
    assert (report.items, report.menu, report.rules) == ((), (), ())
    assert convert(replies(add_friend_autoreply_info={"type": "", "content": ""}), NO_MENU, {}).items == ()


# Menus of the API


def test_buttons_of_the_api_stay_and_keys_without_an_answer_are_named() -> None:
    menu = (
        Button("商城", "view", url="https://example.com"),
        Button("帮助", "click", key="HELP"),
        Button("电话", "text", value="010"),
        Button("以前", "click", key="imported-1"),
    )
    report = convert(NO_REPLIES, CurrentMenu(True, menu), {}, answered={"imported-1"})
    assert report.menu == (*menu[:2], Button("电话", "click", key="imported-2"), menu[3])
    assert [item.outcome for item in report.items] == [
        Outcome.TAKEN,
        Outcome.CHANGED,
        Outcome.TAKEN,
        Outcome.TAKEN,
    ]
    assert report.items[1].notes == (Note(NoteCode.KEY_UNANSWERED, "HELP"),)


def test_the_keys_of_buttons_do_not_depend_on_their_files() -> None:
    menu = CurrentMenu(True, (Button("图", "img", value="x"), Button("电话", "text", value="010")))
    assert convert(NO_REPLIES, menu, {}).menu[1] == convert(NO_REPLIES, menu, {"x": 1}).menu[1]


# Order


def test_rules_are_in_the_order_of_their_creation_and_those_of_whole_messages_first() -> None:
    report = convert(
        replies(
            rule("三", ("contain", "三"), at=3),
            rule("二", ("equal", "二"), at=2),
            rule("一", ("contain", "一"), at=1),
            rule("四", ("equal", "四"), ("contain", "肆"), at=4),
        ),
        NO_MENU,
        {},
    )
    assert names(report) == ["二", "四", "一", "三"]
    assert report.counts == {Outcome.TAKEN: 4}


def test_a_rule_that_would_take_the_whole_message_of_another_becomes_two() -> None:
    report = convert(
        replies(
            rule("价", ("equal", "价钱"), ("contain", "价"), at=1), rule("表", ("equal", "价格表"), at=2)
        ),
        NO_MENU,
        {},
    )
    assert names(report) == ["价", "表", "价（半匹配）"]
    assert codes(report.items[0]) == codes(report.items[2]) == [NoteCode.SPLIT]


# What is changed or impossible


@pytest.mark.parametrize(
    ("given", "expected", "remains"),
    [
        (rule(say="你好 {{name}}"), [NoteCode.VARIABLE], 1),
        (rule("名" * 70, ("equal", "价")), [NoteCode.NAME_CUT], 1),
        (rule("", ("equal", "价")), [], 1),
        (rule("价", ("equal", "价"), ("equal", " ")), [NoteCode.KEYWORD], 1),
        (rule("价", ("equal", " ")), [NoteCode.KEYWORD, NoteCode.NO_KEYWORD], 0),
        (rule(say=" "), [NoteCode.NO_ANSWER], 0),
        (rule(say="长" * 700), [NoteCode.INVALID, NoteCode.NO_ANSWER], 0),
        (rule(say="a\0b"), [NoteCode.INVALID], 0),
        (rule(say=[{"type": "text", "content": str(n)} for n in range(7)]), [NoteCode.TOO_MANY_ANSWERS], 5),
        (rule(say=[{"type": "card", "content": "x"}]), [NoteCode.ANSWER_KIND, NoteCode.NO_ANSWER], 0),
        (rule(say=[{"type": "img", "content": "gone"}]), [NoteCode.CHOOSE_AGAIN, NoteCode.NO_ANSWER], 0),
        (
            rule(say=[{"type": "img", "content": "gone"}, {"type": "text", "content": "见图"}]),
            [NoteCode.CHOOSE_AGAIN],
            1,
        ),
    ],
)
def test_what_does_not_fit_is_named(given: dict[str, Any], expected: list[NoteCode], remains: int) -> None:
    item = only(convert(replies(given), NO_MENU, {}))
    assert codes(item) == expected
    assert len(item.rule.answers if item.rule else ()) == remains
    outcome = Outcome.IMPOSSIBLE if not item.rule else Outcome.CHANGED if expected else Outcome.TAKEN
    assert item.outcome is outcome


def test_articles_are_taken_by_their_addresses_as_far_as_they_have_any() -> None:
    articles = [
        {"title": "长" * 70, "content_url": "http://mp.weixin.qq.com/s?a"},
        {"title": "没有地址"},
        {"title": "又一篇", "content_url": "http://mp.weixin.qq.com/s?b"},
    ]
    news = {"type": "news", "content": "x", "news_info": {"list": articles}}
    item = only(convert(replies(rule(say=[news])), NO_MENU, {}))
    assert item.notes == (
        Note(NoteCode.TITLE_CUT, "长" * 70),
        Note(NoteCode.ARTICLE, "没有地址"),
        Note(NoteCode.ONE_ARTICLE),
    )
    assert item.rule
    assert isinstance(item.rule.answers[0], NewsAnswer)
    assert [article.title for article in item.rule.answers[0].articles] == ["长" * 64, "又一篇"]


def test_replies_that_were_switched_off_are_switched_off_rules() -> None:
    off = {"is_autoreply_open": 0, "is_add_friend_reply_open": 0}
    report = convert(read(AutoReplies, {**REPLIES, **off}), NO_MENU, FILES)
    assert [rule.enabled for rule in report.rules] == [False, False, False]
    assert report.counts == {Outcome.TAKEN: 3}


def test_a_rule_that_makes_no_sense_is_named() -> None:
    report = convert(replies({"rule_name": "坏", "create_time": "?"}, rule("好")), NO_MENU, {})
    assert [(item.name, codes(item)) for item in report.items] == [("好", []), ("坏", [NoteCode.UNREADABLE])]


# Any set-up

texts = st.text(alphabet="价格表ab {}\n1<", max_size=12)
answers = st.one_of(
    st.builds(lambda text: {"type": "text", "content": text}, texts),
    st.builds(lambda name: {"type": "img", "content": name}, st.sampled_from(["MeDiA", "gone", ""])),
    st.builds(
        lambda title, url: {"type": "news", "news_info": {"list": [{"title": title, "content_url": url}]}},
        texts,
        st.sampled_from(["http://a/b", "", "http://a b"]),
    ),
    st.builds(lambda kind: {"type": kind, "content": "x"}, st.sampled_from(["", "card", "video"])),
)
rules = st.builds(
    lambda name, words, at, say, mode: rule(name, *words, at=at, say=say, mode=mode),
    texts,
    st.lists(st.tuples(st.sampled_from(["equal", "contain"]), texts), min_size=1, max_size=4),
    st.integers(0, 5),
    st.lists(answers, max_size=7),
    st.sampled_from(["reply_all", "random_one", ""]),
)
buttons = st.builds(
    lambda name, kind, value: Button(name, kind, value=value),
    texts,
    st.sampled_from(["text", "img", "voice", "video", "news", "finder", "view", "click", "?", ""]),
    texts | st.just("MeDiA"),
)
menus = st.lists(
    buttons
    | st.builds(
        lambda name, below: Button(name, sub_button=tuple(below)), texts, st.lists(buttons, min_size=1)
    ),
    max_size=3,
)


@given(st.lists(rules, max_size=6), menus)
def test_nothing_is_lost_and_every_rule_is_valid(
    given_rules: list[dict[str, Any]], given_menu: list[Button]
) -> None:
    menu = CurrentMenu(True, tuple(given_menu))
    report = convert(replies(*given_rules), menu, FILES)
    split = sum(note.code is NoteCode.SPLIT for item in report.items for note in item.notes) // 2
    assert sum(item.source is Source.KEYWORDS for item in report.items) == len(given_rules) + split
    assert [_count(button) for button in report.menu] == [_count(button) for button in given_menu]
    assert sum(item.source is Source.MENU for item in report.items) == sum(map(_count, given_menu))
    assert sum(report.counts.values()) == len(report.items)
    for item in report.items:
        assert (item.rule is None) or Rule.from_json(item.rule.to_json()) == item.rule
        assert bool(item.notes) == (item.outcome is not Outcome.TAKEN)
        assert item.rule is None or item.outcome is not Outcome.IMPOSSIBLE
    keys = [key for rule in report.rules for key in rule.trigger.keys]
    assert len(keys) == len(set(keys))
    assert set(keys) <= {button.key for button in _flat(report.menu)}


def _count(button: Button) -> int:
    return len(button.sub_button) or 1


def _flat(buttons: tuple[Button, ...]) -> list[Button]:
    return [leaf for button in buttons for leaf in (button.sub_button or (button,))]


@given(st.lists(rules, max_size=8))
def test_a_whole_message_is_answered_by_a_rule_that_names_it(given_rules: list[dict[str, Any]]) -> None:
    found = convert(replies(*given_rules), NO_MENU, FILES).rules
    asked = rule_set(*found)
    for word in {p.keyword for rule in found for p in rule.patterns if p.match is MatchKind.WHOLE}:
        winner = answering(asked, text(word))
        assert winner
        assert Pattern(MatchKind.WHOLE, word) in {
            Pattern(each.match, each.keyword) for each in found[winner - 1].patterns
        }
