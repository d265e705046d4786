"""Which rule answers a message, why others do not, and what it says."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.wechat.corpus import BODIES
from wechat_bot.routing import Context, clean, normalize
from wechat_bot.routing.answers import MissingFile
from wechat_bot.routing.definitions import MatchKind, Pattern, Rule, TriggerKind
from wechat_bot.routing.ownership import is_left_to_person
from wechat_bot.routing.rules import Refusal, RuleSet, origin_of, rule_of
from wechat_bot.wechat.messages import Event, Message, SubscribeEvent, TextMessage
from wechat_bot.wechat.replies import ImageReply, TextReply

SHANGHAI = ZoneInfo("Asia/Shanghai")
NOON = datetime(2026, 11, 28, 12, tzinfo=SHANGHAI)  # a Saturday
HELLO = BODIES["messages/text"]
IMAGE = BODIES["messages/image"]
CLICK = BODIES["events/click"]


def text(content: str) -> TextMessage:
    return TextMessage(**{**vars(HELLO), "content": content})


def followed(scene: str = "") -> SubscribeEvent:
    return SubscribeEvent(**{**vars(BODIES["events/subscribe"]), "scene": scene})


def rule(*patterns: tuple[str, str], trigger: Any = "text", say: Any = "答", **more: Any) -> Rule:
    """A rule for texts with `patterns`, or with another trigger."""
    return Rule.from_json(
        {
            "name": "规则",
            "trigger": trigger if isinstance(trigger, dict) else {"type": trigger},
            "patterns": [{"match": match, "text": word} for match, word in patterns],
            "answers": [{"kind": "text", "text": say}] if isinstance(say, str) else say,
            **more,
        }
    )


def rule_set(*rules: Rule) -> RuleSet:
    """The rules with the ids 1, 2, 3."""
    return RuleSet(dict(enumerate(rules, 1)), SHANGHAI, lambda file_id: f"media-{file_id}")


def context(**values: Any) -> Context:
    return Context(**{"received_at": NOON, **values})


def answering(rules: RuleSet, message: Message, ctx: Context | None = None) -> int | None:
    """The id of the rule that answers `message`, in a bot without handlers."""
    ctx = ctx or context()
    route = rules.find(message, ctx) or rules.find(message, ctx, last=True)
    return rule_of(route.name) if route else None


def refusals(rules: RuleSet, message: Message, ctx: Context | None = None) -> list[Refusal | None]:
    return [verdict.refusal for verdict in rules.explain(message, ctx or context())]


def said(rules: RuleSet, message: Message, ctx: Context) -> Any:
    route = rules.find(message, ctx)
    assert route
    return route.handler(message, ctx)


# Texts


@pytest.mark.parametrize(
    ("match", "pattern", "content"),
    [
        ("whole", "价格", " 价格\u200b"),
        ("whole", "Help", "ＨＥＬＰ"),
        ("contains", "价格", "请问价格是多少"),
        ("contains", "TEA", "green tea please"),
        ("starts", "订单", "订单 123"),
        ("words", "多少 价格", "价格是多少"),
        ("pattern", r"订单\s*\d+", "订单 123"),
        ("pattern", "order", "ORDER"),
        ("number", "1", "１"),
        ("number", "1", "①"),
        ("number", "12", "（12）"),
        ("number", "1", "1、"),
    ],
)
def test_a_text_matches_however_it_is_written(match: str, pattern: str, content: str) -> None:
    assert answering(rule_set(rule((match, pattern))), text(content)) == 1


@pytest.mark.parametrize(
    ("match", "pattern", "content"),
    [
        ("whole", "价格", "价格多少"),
        ("contains", "价格", "价 格"),
        ("starts", "订单", "我的订单"),
        ("words", "多少 价格", "多少"),
        ("pattern", r"订单\s*\d+", "我的订单 123"),
        ("number", "1", "11"),
        ("number", "1", "一"),
    ],
)
def test_another_text_does_not_match(match: str, pattern: str, content: str) -> None:
    rules = rule_set(rule((match, pattern)))
    assert answering(rules, text(content)) is None
    assert refusals(rules, text(content)) == [Refusal.TEXT]


def test_the_first_rule_in_order_answers_and_the_others_name_it() -> None:
    rules = rule_set(
        rule(("whole", "茶")), rule(("contains", "茶")), rule(("starts", "绿茶"), ("contains", "茶"))
    )
    assert answering(rules, text("绿茶")) == 2
    first, second, third = rules.explain(text("绿茶"), context())
    assert (first.refusal, second.refusal, third.refusal) == (Refusal.TEXT, None, Refusal.EARLIER)
    assert (third.by, third.pattern) == (2, 0)


def test_a_pattern_of_exploding_cost_answers_at_once() -> None:
    rules = rule_set(rule(("pattern", "(a|a)*(a|a)*(a|a)*b")))
    assert answering(rules, text("a" * 2000)) is None


# Triggers


def test_rules_for_events_and_other_messages_answer_these_alone() -> None:
    rules = rule_set(
        rule(trigger={"type": "followed", "followers": "returning"}),
        rule(trigger={"type": "followed", "scene": "shop-"}),
        rule(trigger={"type": "menu", "keys": ["MENU_HELP", "B"]}),
        rule(trigger={"type": "message", "kinds": ["voice"]}),
        rule(trigger={"type": "message"}),
        rule(trigger={"type": "scanned"}),
    )
    assert answering(rules, followed(), context(returning=True)) == 1
    assert answering(rules, followed("shop-3")) == 2
    assert answering(rules, followed("street")) is None
    assert refusals(rules, followed("street"))[:2] == [Refusal.FOLLOWERS, Refusal.SCENE]
    assert answering(rules, CLICK) == 3
    assert answering(rules, IMAGE) == 5
    assert answering(rules, BODIES["messages/voice"]) == 4
    assert answering(rules, BODIES["events/scan"]) == 6
    assert answering(rules, HELLO) is None


def test_what_nothing_matched_is_answered_last_wherever_its_rule_stands() -> None:
    rules = rule_set(rule(trigger="nothing_matched"), rule(("whole", "茶")))
    assert answering(rules, text("茶")) == 2
    assert refusals(rules, text("茶")) == [Refusal.EARLIER, None]
    assert answering(rules, text("酒")) == 1
    assert answering(rules, IMAGE) == 1
    assert answering(rules, CLICK) is None


def test_out_of_hours_a_rule_answers_in_its_place() -> None:
    closed = rule(trigger="out_of_hours", schedule={"hours": ["09:00-18:00"], "weekdays": [1, 2, 3, 4, 5, 6]})
    rules = rule_set(rule(("whole", "急")), closed, rule(("whole", "茶")))
    night, sunday = context(received_at=NOON.replace(hour=20)), context(received_at=NOON + timedelta(days=1))
    assert answering(rules, text("茶")) == 3
    assert refusals(rules, text("茶"))[1] is Refusal.OPEN
    assert answering(rules, text("茶"), night) == answering(rules, IMAGE, sunday) == 2
    assert answering(rules, text("急"), night) == 1


@pytest.mark.parametrize("body", sorted(BODIES))
def test_no_message_of_the_platform_upsets_the_rules(body: str) -> None:
    triggers = [kind for kind in TriggerKind if kind not in {TriggerKind.TEXT, TriggerKind.MENU}]
    more: dict[TriggerKind, Any] = {TriggerKind.OUT_OF_HOURS: {"schedule": {"weekdays": [1]}}}
    rules = rule_set(
        rule(("contains", "a")), *(rule(trigger=kind, **more.get(kind, {})) for kind in triggers)
    )
    message = BODIES[body]
    assert answering(rules, message) == next(
        (verdict.rule_id for verdict in rules.explain(message, context()) if verdict.refusal is None), None
    )


# Conditions


def test_a_rule_that_is_off_does_not_answer() -> None:
    rules = rule_set(rule(("whole", "茶"), enabled=False))
    assert answering(rules, text("茶")) is None
    assert refusals(rules, text("茶")) == [Refusal.OFF]


def test_an_open_dialogue_keeps_messages_and_leaves_events_to_rules() -> None:
    rules = rule_set(rule(("whole", "茶")), rule(trigger={"type": "menu", "keys": ["MENU_HELP"]}))
    assert answering(rules, text("茶"), context(state="naming")) is None
    assert refusals(rules, text("茶"), context(state="naming"))[0] is Refusal.DIALOGUE
    assert answering(rules, CLICK, context(state="naming")) == 2


def test_hours_are_those_of_the_account() -> None:
    rules = rule_set(rule(("whole", "茶"), schedule={"hours": ["09:00-10:00"]}))
    assert answering(rules, text("茶"), context(received_at=datetime(2026, 11, 28, 1, 30, tzinfo=UTC))) == 1
    assert (
        answering(rules, text("茶"), context(received_at=datetime(2026, 11, 28, 9, 30, tzinfo=UTC))) is None
    )


def test_a_rule_for_members_answers_members() -> None:
    rules = rule_set(rule(("whole", "茶"), audience={"tags": ["会员", "老板"]}), rule(("whole", "茶")))
    assert answering(rules, text("茶"), context(tags=frozenset({"会员"}))) == 1
    assert answering(rules, text("茶"), context(tags=frozenset({"其他"}))) == 2
    assert refusals(rules, text("茶"))[0] is Refusal.TAGS


def test_a_rule_for_those_who_followed_lately_asks_for_the_day_of_the_account() -> None:
    rules = rule_set(rule(("whole", "茶"), audience={"followed_since": "2026-11-28"}))
    midnight = datetime(2026, 11, 27, 16, tzinfo=UTC)
    assert answering(rules, text("茶"), context(followed_at=midnight)) == 1
    for earlier in (midnight - timedelta(seconds=1), None):
        assert refusals(rules, text("茶"), context(followed_at=earlier)) == [Refusal.FOLLOWED_SINCE]


def test_a_rule_rests_after_it_answered_a_follower() -> None:
    rules = rule_set(rule(("whole", "茶"), cool_down=60))
    ctx = context()
    said(rules, text("茶"), ctx)
    memory = ctx.rule_memory
    soon, later = NOON + timedelta(seconds=59), NOON + timedelta(seconds=60)
    assert refusals(rules, text("茶"), context(rule_memory=memory, received_at=soon)) == [Refusal.COOL_DOWN]
    assert answering(rules, text("茶"), context(rule_memory=memory, received_at=later)) == 1


def test_what_rules_remember_of_a_follower_does_not_grow_for_ever() -> None:
    rules = rule_set(rule(("whole", "茶"), cool_down=60))
    old = {"9": {"turn": 1.0}, "1": {"until": 0.0}}
    ctx = context(rule_memory=old)
    said(rules, text("茶"), ctx)
    assert ctx.rule_memory == {"1": {"until": NOON.timestamp() + 60}}


# Answers


def test_all_answers_are_given_in_order() -> None:
    rules = rule_set(
        rule(("whole", "茶"), say=[{"kind": "text", "text": "一"}, {"kind": "image", "file_id": 7}])
    )
    assert said(rules, text("茶"), context()) == (TextReply("一"), ImageReply("media-7"))


def test_answers_take_turns_for_each_follower() -> None:
    several = [{"kind": "text", "text": word} for word in "一二三"]
    rules, ctx = rule_set(rule(("whole", "茶"), say=several, pick="in_turn")), context()
    assert [said(rules, text("茶"), ctx)[0].content for _ in range(4)] == ["一", "二", "三", "一"]
    assert said(rules, text("茶"), context()) == (TextReply("一"),)


def test_a_random_answer_is_the_same_whenever_the_message_is_handled() -> None:
    several = [{"kind": "text", "text": word} for word in "一二三"]
    rules = rule_set(rule(("whole", "茶"), say=several, pick="random"))
    messages = [replace(text("茶"), msg_id=str(n), fields={"MsgId": str(n)}) for n in range(40)]
    first = [said(rules, message, context()) for message in messages]
    assert first == [said(rules, message, context()) for message in messages]
    assert set(first) == {(TextReply(word),) for word in "一二三"}


def test_texts_name_the_follower_the_time_and_what_a_pattern_found() -> None:
    rules = rule_set(rule(("pattern", r"订单\s*(?P<no>[A-Z]\d+)?"), say="{{name|你}}，{{no|哪}}单，{{time}}"))
    assert said(rules, text("订单 A1"), context(session={"name": "小明"})) == (
        TextReply("小明，A1单，12:00"),
    )
    assert said(rules, text("订单"), context()) == (TextReply("你，哪单，12:00"),)


def test_a_file_is_missing_where_there_is_no_library() -> None:
    rules = RuleSet({1: rule(("whole", "茶"), say=[{"kind": "image", "file_id": 7}])}, SHANGHAI)
    with pytest.raises(MissingFile):
        said(rules, text("茶"), context())


@pytest.mark.parametrize("needs_person", [True, False])
def test_the_origin_of_a_message_tells_its_rule(needs_person: bool) -> None:
    origin = origin_of(12, needs_person=needs_person)
    assert rule_of(origin) == 12
    assert is_left_to_person(origin) is needs_person


@pytest.mark.parametrize("origin", ["", "rule.", "rule.x", "commands.rule", "12", "operator:12", "rules.12"])
def test_other_origins_are_those_of_no_rule(origin: str) -> None:
    assert rule_of(origin) is None
    assert rule_of(origin + ".person") is None


# Shadows


def test_a_rule_that_can_never_answer_is_named_with_the_one_that_does() -> None:
    rules = rule_set(
        rule(("contains", "茶")),
        rule(("whole", "绿茶"), ("starts", "红茶"), ("words", "茶 价格"), ("contains", "茶叶")),
        rule(("whole", "茶"), ("whole", "酒")),
        rule(trigger={"type": "message"}),
        rule(trigger={"type": "message", "kinds": ["image"]}),
    )
    assert rules.shadowed == {2: (1,), 5: (4,)}


def test_a_rule_is_shadowed_by_several_together() -> None:
    rules = rule_set(rule(("whole", "茶")), rule(("whole", "酒")), rule(("whole", "茶"), ("whole", "酒")))
    assert rules.shadowed == {3: (1, 2)}


@pytest.mark.parametrize(
    "limits",
    [{"enabled": False}, {"cool_down": 5}, {"schedule": {"weekdays": [1]}}, {"audience": {"tags": ["会员"]}}],
)
def test_a_rule_that_does_not_always_answer_shadows_none(limits: Any) -> None:
    assert rule_set(rule(("contains", "茶"), **limits), rule(("whole", "茶"))).shadowed == {}


# Properties

WORDS = st.text("ab茶ß1.2 \n", min_size=1, max_size=4).filter(normalize)
EXPRESSIONS = st.sampled_from(["a+", "(?P<x>a|茶)b*", "[ab]{2}", "茶.*", "1?2", "a b"])
CONTENTS = st.text("abAB茶ßs1１①.2 \n\u200b", max_size=8)


@st.composite
def patterns(draw: st.DrawFn) -> dict[str, str]:
    match = draw(st.sampled_from(list(MatchKind)))
    if match is MatchKind.PATTERN:
        return {"match": match, "text": draw(EXPRESSIONS)}
    if match is MatchKind.NUMBER:
        return {"match": match, "text": draw(st.sampled_from(["1", "2", "12"]))}
    return {"match": match, "text": draw(WORDS)}


SCHEDULES = st.fixed_dictionaries(
    {},
    optional={
        "hours": st.lists(st.sampled_from(["09:00-18:00", "22:00-02:00", "00:00-24:00"]), max_size=2),
        "weekdays": st.lists(st.integers(1, 7), max_size=3),
        "first_day": st.sampled_from(["2026-11-27", "2026-11-29"]),
        "last_day": st.sampled_from(["2026-11-30", "2026-12-30"]),
    },
)
AUDIENCES = st.fixed_dictionaries(
    {},
    optional={
        "tags": st.lists(st.sampled_from("xy"), max_size=2),
        "followed_since": st.sampled_from(["2026-01-01", "2026-12-01"]),
    },
)
TRIGGERS = st.sampled_from(
    [
        {"type": "text"},
        {"type": "text"},
        {"type": "text"},
        {"type": "followed", "followers": "new"},
        {"type": "followed", "scene": "s"},
        {"type": "message", "kinds": ["image"]},
        {"type": "message"},
        {"type": "menu", "keys": ["MENU_HELP"]},
        {"type": "out_of_hours"},
        {"type": "nothing_matched"},
    ]
)


@st.composite
def rules(draw: st.DrawFn) -> Rule:
    trigger: Any = draw(TRIGGERS)
    is_text, is_closed = trigger["type"] == "text", trigger["type"] == "out_of_hours"
    schedule = draw(SCHEDULES)
    return Rule.from_json(
        {
            "name": "r",
            "trigger": trigger,
            "patterns": draw(st.lists(patterns(), min_size=1, max_size=3)) if is_text else [],
            "answers": [{"kind": "text", "text": "答"}],
            "enabled": draw(st.integers(0, 4)) > 0,
            "schedule": {**schedule, "weekdays": [2]} if is_closed else schedule,
            "audience": draw(AUDIENCES),
            "cool_down": draw(st.sampled_from([0, 0, 60])),
        }
    )


CONTEXTS = st.builds(
    Context,
    state=st.sampled_from([None, None, None, "naming"]),
    returning=st.booleans(),
    tags=st.frozensets(st.sampled_from("xy")),
    followed_at=st.sampled_from([None, NOON - timedelta(days=900), NOON - timedelta(days=3)]),
    received_at=st.integers(0, 4 * 24 * 60).map(lambda minutes: NOON + timedelta(minutes=minutes)),
    rule_memory=st.dictionaries(
        st.sampled_from("123"), st.just({"until": NOON.timestamp() + 24 * 3600}), max_size=2
    ),
)
MESSAGES = st.one_of(
    CONTENTS.map(text), CONTENTS.map(text), st.sampled_from([IMAGE, CLICK, followed("s1"), followed()])
)


def plainly_matches(pattern: Pattern, content: str) -> bool:
    """Whether a text matches, as one would write it without regard to time."""
    found, word = normalize(content), normalize(pattern.text)
    match pattern.match:
        case MatchKind.WHOLE:
            return found == word
        case MatchKind.CONTAINS:
            return word in found
        case MatchKind.STARTS:
            return found.startswith(word)
        case MatchKind.WORDS:
            return all(part in found for part in word.split())
        case MatchKind.NUMBER:
            return found in {word, word + "."}
        case MatchKind.PATTERN:
            return re.fullmatch(pattern.text, clean(content), re.IGNORECASE) is not None


def plainly_answers(rule_id: int, rule: Rule, message: Message, ctx: Context) -> bool:
    now = ctx.received_at.astimezone(SHANGHAI)
    trigger, is_event = rule.trigger, isinstance(message, Event)
    in_time = rule.schedule.refusal(now) is None
    match trigger.type:
        case TriggerKind.TEXT:
            takes = isinstance(message, TextMessage) and any(
                plainly_matches(pattern, message.content) for pattern in rule.patterns
            )
        case TriggerKind.FOLLOWED:
            takes = (
                isinstance(message, SubscribeEvent)
                and message.scene.startswith(trigger.scene)
                and (trigger.followers == "any" or ctx.returning == (trigger.followers == "returning"))
            )
        case TriggerKind.MENU:
            takes = (
                message.kind == "event" and getattr(message, "key", "") in trigger.keys and message is CLICK
            )
        case TriggerKind.MESSAGE:
            takes = (
                not is_event and message.kind != "text" and message.kind in (trigger.kinds or {message.kind})
            )
        case TriggerKind.OUT_OF_HOURS:
            takes, in_time = not is_event, rule.schedule.refusal(now) in {"weekday", "hours"}
        case _:
            takes = not is_event
    since, followed_at = rule.audience.followed_since, ctx.followed_at
    until = ctx.rule_memory.get(str(rule_id), {}).get("until", 0)
    return (
        takes
        and in_time
        and rule.enabled
        and (is_event or ctx.state is None)
        and (not rule.audience.tags or bool(ctx.tags & {*rule.audience.tags}))
        and (since is None or (followed_at is not None and followed_at.astimezone(SHANGHAI).date() >= since))
        and not (rule.cool_down and until > now.timestamp())
    )


@given(st.lists(rules(), max_size=6), MESSAGES, CONTEXTS)
def test_the_matcher_agrees_with_a_plain_one_and_with_its_explanation(
    several: list[Rule], message: Message, ctx: Context
) -> None:
    compiled = rule_set(*several)
    plainly = [number for number, r in enumerate(several, 1) if plainly_answers(number, r, message, ctx)]
    plainly.sort(key=lambda number: several[number - 1].trigger.type == TriggerKind.NOTHING_MATCHED)
    expected = plainly[0] if plainly else None
    assert answering(compiled, message, ctx) == expected
    verdicts = compiled.explain(message, ctx)
    assert [verdict.rule_id for verdict in verdicts if verdict.refusal is None] == plainly[:1]
    willing = {verdict.rule_id for verdict in verdicts if verdict.refusal in {None, Refusal.EARLIER}}
    assert willing == {*plainly}
    assert {verdict.by for verdict in verdicts if verdict.refusal is Refusal.EARLIER} <= {expected}


@given(st.lists(rules(), max_size=6), MESSAGES, CONTEXTS)
def test_a_shadowed_rule_never_answers(several: list[Rule], message: Message, ctx: Context) -> None:
    compiled = rule_set(*several)
    shadowed = compiled.shadowed
    assert answering(compiled, message, ctx) not in shadowed
    assert all(by < number for number, several_by in shadowed.items() for by in several_by)


@given(rules())
def test_every_rule_is_read_as_it_was_written(rule: Rule) -> None:
    assert Rule.from_json(rule.to_json()) == rule


@given(st.lists(patterns(), min_size=1, max_size=12), CONTENTS)
def test_the_index_finds_the_first_pattern_that_matches(several: list[dict[str, str]], content: str) -> None:
    found = rule_set(rule(*((pattern["match"], pattern["text"]) for pattern in several)))
    [verdict] = found.explain(text(content), context())
    matching = (n for n, p in enumerate(found.rules[1].patterns) if plainly_matches(p, content))
    assert verdict.pattern == next(matching, None)
