"""What answers a question: the right passage first, and nothing that does not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from sqlalchemy import Engine

from tests.conftest import MakeApp
from wechat_bot.extensions import db
from wechat_bot.models import DocumentKind, KnowledgeState
from wechat_bot.services.accounts import ensure_account
from wechat_bot.services.audit import Actor
from wechat_bot.services.conversations import canned_replies
from wechat_bot.services.knowledge import documents, pairs
from wechat_bot.services.knowledge.documents import NewDocument
from wechat_bot.services.knowledge.index import PassageIndex
from wechat_bot.services.knowledge.reading import Part
from wechat_bot.services.knowledge.retrieval import Retriever
from wechat_bot.services.rules import editing
from wechat_bot.wiring import services

ACTOR = Actor(None, "li", "")
DATA = Path(__file__).parents[2] / "data" / "knowledge"
THRESHOLD = 0.35
"""The default of the assistant."""


def _read(name: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = yaml.safe_load((DATA / name).read_text())
    return found


SOURCES, QUESTIONS = _read("sources.yaml"), _read("questions.yaml")
ANSWERED = [each for each in QUESTIONS if each["answer"]]
OTHERS = [each["question"] for each in QUESTIONS if not each["answer"]]


@pytest.fixture(scope="module")
def index() -> PassageIndex[int]:
    made: PassageIndex[int] = PassageIndex()
    for each in SOURCES:
        made.add(each["id"], "\n".join([each["title"], *each.get("questions", ())]), each["text"])
    return made


@pytest.mark.parametrize("asked", ANSWERED, ids=lambda asked: asked["question"])
def test_the_passage_that_answers_a_question_is_found_first(
    index: PassageIndex[int], asked: dict[str, Any]
) -> None:
    assert index.find(asked["question"], 3)[0][0] == asked["answer"]


def test_nearly_all_answers_are_above_the_threshold(index: PassageIndex[int]) -> None:
    below = [each for each in ANSWERED if index.find(each["question"], 1)[0][1] < THRESHOLD]
    assert len(below) <= 2, below


@pytest.mark.parametrize("question", OTHERS)
def test_a_question_that_nothing_answers_is_far_below_the_threshold(
    index: PassageIndex[int], question: str
) -> None:
    assert all(score < THRESHOLD / 2 for _, score in index.find(question, 3))


def test_scores_are_between_0_and_1_and_best_first(index: PassageIndex[int]) -> None:
    scores = [score for each in QUESTIONS for _, score in index.find(each["question"], 5)]
    assert scores
    assert all(0 <= score <= 1 for score in scores)
    found = [score for _, score in index.find("咖啡机怎么除垢", 5)]
    assert found == sorted(found, reverse=True)


@pytest.mark.parametrize("question", ["", " ", "？！", "的", "😀", "\x00", "a" * 5000, "退" * 5000])
def test_any_text_can_be_asked(index: PassageIndex[int], question: str) -> None:
    assert all(0 <= score <= 1 for _, score in index.find(question, 3))


def test_nothing_is_found_in_an_empty_index() -> None:
    assert PassageIndex[int]().find("怎么退货", 3) == []


# In the database


@pytest.fixture
def engine(make_app: MakeApp, any_database: str) -> Engine:
    app = make_app(database_url=any_database)
    with app.app_context():
        return db.engine


@pytest.fixture
def account_id(engine: Engine) -> int:
    return ensure_account(engine, "wx1")


def _titles(retriever: Retriever, account_id: int, question: str) -> list[str]:
    return [found.title for found in retriever.find(account_id, question, threshold=THRESHOLD)]


def test_every_process_sees_what_is_added_changed_deleted_and_restored(
    engine: Engine, account_id: int
) -> None:
    one, other = Retriever(engine), Retriever(engine)
    assert _titles(one, account_id, "怎么退货") == []
    pair_id = pairs.create(engine, ACTOR, account_id, {"question": "怎么退货", "answer": "七天内申请。"})
    assert _titles(one, account_id, "怎么退货") == _titles(other, account_id, "怎么退货") == ["怎么退货"]
    changed = {"question": "怎么开发票", "answer": "在订单里申请。"}
    pairs.save(engine, ACTOR, account_id, pair_id, 1, changed)
    assert _titles(one, account_id, "怎么退货") == []
    assert _titles(other, account_id, "怎么开发票") == ["怎么开发票"]
    pairs.delete(engine, ACTOR, account_id, [pair_id])
    assert _titles(one, account_id, "怎么开发票") == []
    pairs.restore(engine, ACTOR, account_id, pair_id, 1)
    assert _titles(one, account_id, "怎么退货") == _titles(other, account_id, "怎么退货") == ["怎么退货"]


def test_suggestions_are_not_answered_from_until_they_are_approved(engine: Engine, account_id: int) -> None:
    retriever = Retriever(engine)
    suggested = {"question": "怎么退货", "answer": "七天内申请。", "state": "suggested"}
    pair_id = pairs.create(engine, ACTOR, account_id, suggested)
    assert _titles(retriever, account_id, "怎么退货") == []
    assert pairs.approve(engine, ACTOR, account_id, [pair_id]) == 1
    assert _titles(retriever, account_id, "怎么退货") == ["怎么退货"]
    with engine.connect() as connection:
        assert pairs.find(connection, account_id, pair_id).state is KnowledgeState.APPROVED


def test_accounts_do_not_find_the_knowledge_of_others(engine: Engine, account_id: int) -> None:
    pairs.create(engine, ACTOR, account_id, {"question": "怎么退货", "answer": "七天内申请。"})
    assert _titles(Retriever(engine), account_id + 1, "怎么退货") == []


def test_operators_search_pairs_and_documents_are_replaced(engine: Engine, account_id: int) -> None:
    pairs.create(engine, ACTOR, account_id, {"question": "打折 100% 嗎", "answer": "_是的"})
    pairs.create(engine, ACTOR, account_id, {"question": "打折吗", "answer": "1000 元以上"})
    with engine.connect() as connection:
        for text, count in (("打折", 2), ("100%", 1), ("_", 1), ("吗 打折", 2), ("ＬＩ", 0)):
            assert len(pairs.listed(connection, account_id, pairs.PairFilter(text), 9)) == count, text
    for text in ("七天内申请退货。", "七天内申请退货。", "十五天内申请退货。"):
        new = NewDocument("政策", DocumentKind.ADDRESS, [Part("退货", text)], "", "address:1")
        documents.put(engine, ACTOR, account_id, new)
    [found] = Retriever(engine).find(account_id, "怎么申请退货", threshold=THRESHOLD)
    assert (found.title, found.text) == ("政策 › 退货", "十五天内申请退货。")
    with engine.connect() as connection:
        [row] = documents.listed(connection, account_id, 9)
    documents.remove(engine, ACTOR, account_id, row.id)
    assert Retriever(engine).count(account_id) == 2


def _rule(**more: Any) -> dict[str, Any]:
    return {
        "name": "停车",
        "trigger": {"type": "text"},
        "patterns": [{"match": "contains", "text": "停车"}],
        "answers": [{"kind": "text", "text": "{{name|您}}可以停在地下一层，两小时免费。"}],
        **more,
    }


def test_rules_and_shared_canned_replies_take_part_where_they_are(make_app: MakeApp) -> None:
    app = make_app()
    with app.app_context():
        bot = services(app)
        account_id, knowledge = bot.account_id, bot.knowledge
        rule = editing.create(bot.engine, ACTOR, account_id, _rule())
        reply = {"shortcut": "wifi", "answer": {"kind": "text", "text": "店里的无线网密码是 12345678。"}}
        canned_replies.create(bot.engine, ACTOR, account_id, reply)
        [found] = knowledge.find(account_id, "哪里可以停车", threshold=THRESHOLD)
        assert (found.source, found.id, found.text) == ("rule", rule.id, "您可以停在地下一层，两小时免费。")
        [found] = knowledge.find(account_id, "无线网密码", threshold=THRESHOLD)
        assert (found.source, found.title) == ("canned", "wifi")
        editing.enable(bot.engine, ACTOR, account_id, rule.id, False)
        assert knowledge.find(account_id, "哪里可以停车", threshold=THRESHOLD) == []


def test_a_rule_that_does_not_hold_for_everybody_at_any_time_is_no_knowledge(make_app: MakeApp) -> None:
    app = make_app()
    with app.app_context():
        bot = services(app)
        limited = _rule(audience={"tags": ["VIP"]}), _rule(schedule={"hours": ["09:00-12:00"]})
        for each in limited:
            editing.create(bot.engine, ACTOR, bot.account_id, each)
        assert bot.knowledge.find(bot.account_id, "停车") == []


def test_an_index_of_which_most_was_removed_is_built_again(engine: Engine, account_id: int) -> None:
    retriever = Retriever(engine)
    several = [pairs.Pair(f"问题 {number}", "答案") for number in range(120)]
    pairs.add_all(engine, ACTOR, account_id, several)
    assert retriever.count(account_id) == 120
    with engine.connect() as connection:
        ids = [entry.id for entry in pairs.listed(connection, account_id, pairs.PairFilter(), 119)]
    pairs.delete(engine, ACTOR, account_id, ids)
    assert retriever.count(account_id) == 1
    pairs.create(engine, ACTOR, account_id, {"question": "怎么退货", "answer": "七天内申请。"})
    assert _titles(retriever, account_id, "怎么退货") == ["怎么退货"]
    assert retriever.count(account_id) == 2
