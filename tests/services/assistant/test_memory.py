"""What a model is told of the conversation."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from wechat_bot.llm import ChatMessage
from wechat_bot.services.assistant.memory import Speaker, Utterance, remember
from wechat_bot.services.assistant.profile import AssistantProfile

AT = datetime(2026, 11, 29, 14, 2, tzinfo=UTC)
PROFILE = AssistantProfile(memory_turns=2, memory_tokens=1000)


def said(*texts: str) -> list[Utterance]:
    """`texts` begin with who says them, a minute apart: ? the follower, ! the bot, # an operator."""
    speakers = {"?": Speaker.FOLLOWER, "!": Speaker.BOT, "#": Speaker.OPERATOR}
    return [
        Utterance(speakers[text[0]], AT + timedelta(minutes=number), text[1:])
        for number, text in enumerate(texts)
    ]


def remembered(*texts: str, profile: AssistantProfile = PROFILE) -> list[tuple[str, str]]:
    return [(message.role, message.content) for message in remember(said(*texts), profile, UTC)]


def test_what_a_follower_writes_without_an_answer_between_is_one_turn() -> None:
    assert remembered("?你好", "?在吗", "!在", "!请说") == [("user", "你好\n在吗"), ("assistant", "在\n请说")]


def test_the_newest_turns_are_remembered() -> None:
    found = remembered("?一", "!甲", "?二", "!乙", "?三", "!丙")
    assert found == [("user", "二"), ("assistant", "乙"), ("user", "三"), ("assistant", "丙")]
    assert remembered("?一", "!甲", profile=replace(PROFILE, memory_turns=0)) == []


def test_turns_that_exceed_the_tokens_are_left_out_whole() -> None:
    profile = replace(PROFILE, memory_tokens=6)
    assert remembered("?很长的问题", "!很长的回答", "?短", "!好", profile=profile) == [
        ("user", "短"),
        ("assistant", "好"),
    ]


def test_a_line_says_where_a_person_talked() -> None:
    found = remembered("?能退吗", "!能", "#我来帮你", "#寄到上海", "!谢谢")
    assert found[1] == ("assistant", "能\n[人工客服 14:04–14:05]\n我来帮你\n寄到上海\n谢谢")
    assert remembered("#你好") == [("assistant", "[人工客服 14:02]\n你好")]


def test_what_was_before_a_reset_is_forgotten() -> None:
    utterances = said("?我叫小明", "!好", "?重置", "!好", "?在吗")
    utterances[2] = replace(utterances[2], is_reset=True)
    assert remember(utterances, PROFILE, UTC) == (ChatMessage("assistant", "好"), ChatMessage("user", "在吗"))
