"""What is found by its meaning, and how texts get their vectors in the background."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import pytest
from sqlalchemy import Engine, select

from tests.conftest import MakeApp
from wechat_bot.extensions import db
from wechat_bot.llm import ModelError, ModelErrorReason
from wechat_bot.models import DocumentKind, KnowledgeState, KnowledgeVector
from wechat_bot.services.accounts import ensure_account
from wechat_bot.services.audit import Actor
from wechat_bot.services.conversations import canned_replies
from wechat_bot.services.knowledge import documents, pairs
from wechat_bot.services.knowledge.documents import NewDocument
from wechat_bot.services.knowledge.embedding import BATCH, Vectorizer
from wechat_bot.services.knowledge.pairs import Pair
from wechat_bot.services.knowledge.reading import Part
from wechat_bot.services.knowledge.retrieval import Retriever

ACTOR = Actor(None, "li", "")
THRESHOLD = 0.35
"""The default of the assistant."""
MEANINGS = ("退货 不想要了", "发货 到我家", "停车 开车", "发票 报销")
"""Each has a dimension. Its words have nothing in common for an index of words."""
RETURN = Pair("怎么退货", "七天内申请。")
SHIPPING = Pair("几天发货", "付款后三天。")


@dataclass
class FakeEmbedder:
    """A made-up model that knows `MEANINGS`. It keeps what it is asked."""

    model: str = "made-up"
    key: str = ""
    asked: list[Sequence[str]] = field(default_factory=list, compare=False)
    error: ModelErrorReason | None = field(default=None, compare=False)
    refused: str = "—"

    def embed(self, texts: Sequence[str], timeout: float) -> list[list[float]]:
        self.asked.append(texts)
        if self.error:
            raise ModelError(self.error)
        if any(self.refused in text for text in texts):
            raise ModelError(ModelErrorReason.REFUSED)
        return [self.vector(text) for text in texts]

    def vector(self, text: str) -> list[float]:
        return [0.5, *(float(any(word in text for word in words.split())) for words in MEANINGS)]

    @property
    def texts(self) -> list[str]:
        return [text for texts in self.asked for text in texts]


@dataclass
class Knowledge:
    """The knowledge base of an account with a vectorizer, and a clock that stands still."""

    engine: Engine
    account_id: int
    embedder: FakeEmbedder | None = field(default_factory=FakeEmbedder)
    now: float = 0.0

    def __post_init__(self) -> None:
        self.vectorizer = Vectorizer(self.engine, lambda account_id: self.embedder, lambda: self.now)

    def retriever(self) -> Retriever:
        """Return the retriever of a new process."""
        return Retriever(self.engine, lambda account_id: self.embedder)

    def add(self, *several: Pair) -> None:
        pairs.add_all(self.engine, ACTOR, self.account_id, several)

    def catch_up(self) -> None:
        self.vectorizer.catch_up(self.account_id, 10)

    def titles(self, question: str, retriever: Retriever | None = None) -> list[str]:
        finder = retriever or self.retriever()
        return [found.title for found in finder.find(self.account_id, question, threshold=THRESHOLD)]

    def stored(self) -> list[tuple[str, int, str]]:
        columns = KnowledgeVector.source, KnowledgeVector.source_id, KnowledgeVector.model
        with self.engine.connect() as connection:
            return sorted((row[0], row[1], row[2]) for row in connection.execute(select(*columns)))


@pytest.fixture
def knowledge(make_app: MakeApp, any_database: str) -> Knowledge:
    app = make_app(database_url=any_database)
    with app.app_context():
        return Knowledge(db.engine, ensure_account(db.engine, "wx1"))


@pytest.fixture
def local(make_app: MakeApp) -> Knowledge:
    """A knowledge base on SQLite, where databases do not differ."""
    app = make_app()
    with app.app_context():
        return Knowledge(db.engine, ensure_account(db.engine, "wx1"))


# What is found


def test_a_paraphrase_without_common_words_is_found_by_every_process(knowledge: Knowledge) -> None:
    knowledge.add(RETURN, SHIPPING)
    running = knowledge.retriever()
    assert knowledge.titles("这件我不想要了", running) == []
    knowledge.catch_up()
    assert knowledge.titles("这件我不想要了", running) == ["怎么退货"]
    assert knowledge.titles("这件我不想要了") == ["怎么退货"]
    assert knowledge.titles("今晚的月亮圆不圆") == []


def test_words_and_meaning_together_score_higher_than_either_and_never_above_1(local: Knowledge) -> None:
    local.add(RETURN, SHIPPING, Pair("退货的运费", "自己付。"))
    words = Retriever(local.engine)
    local.catch_up()
    for question in ("怎么退货", "退货 停车", "不想要了", "怎么退货七天内申请"):
        mixed = local.retriever().find(local.account_id, question)
        scores = [found.score for found in mixed]
        assert all(0 <= score <= 1 for score in scores)
        assert all(one >= other for one, other in pairwise(scores))
        by_words = {found.id: found.score for found in words.find(local.account_id, question)}
        assert all(found.score >= by_words.get(found.id, 0.0) for found in mixed)


@pytest.mark.parametrize("error", [ModelErrorReason.TIMEOUT, ModelErrorReason.UNAUTHORIZED])
def test_words_alone_decide_while_the_endpoint_does_not_answer(
    local: Knowledge, error: ModelErrorReason
) -> None:
    local.add(RETURN, SHIPPING)
    local.catch_up()
    local.embedder = FakeEmbedder(error=error)
    assert local.titles("怎么退货") == ["怎么退货"]
    assert local.titles("不想要了") == []


def test_words_alone_decide_if_a_vector_cannot_be_compared(local: Knowledge) -> None:
    local.add(RETURN)
    local.catch_up()
    for vector in ([1.0], [0.0] * 5, [float("nan")] * 5, []):
        local.embedder = FakeEmbedder()
        local.embedder.vector = lambda text, vector=vector: vector  # type: ignore[misc, method-assign]
        assert local.titles("怎么退货") == ["怎么退货"]


def test_the_endpoint_is_asked_once_for_several_questions_and_not_without_vectors(local: Knowledge) -> None:
    retriever = local.retriever()
    local.add(RETURN, SHIPPING)
    assert local.embedder
    assert retriever.find_any(local.account_id, ["不想要了", "到我家"]) == []
    assert local.embedder.asked == []
    local.catch_up()
    local.embedder.asked.clear()
    found = retriever.find_any(local.account_id, ["不想要了", " ", "到我家"], threshold=THRESHOLD)
    assert {each.title for each in found} == {"怎么退货", "几天发货"}
    assert local.embedder.asked == [["不想要了", "到我家"]]


def test_a_vector_of_an_earlier_text_is_not_used(local: Knowledge) -> None:
    retriever = local.retriever()
    local.add(RETURN)
    local.catch_up()
    assert local.titles("不想要了", retriever) == ["怎么退货"]
    [(_, pair_id, _)] = local.stored()
    changed = {"question": "哪里停车", "answer": "地下一层。"}
    pairs.save(local.engine, ACTOR, local.account_id, pair_id, 1, changed)
    assert local.titles("不想要了", retriever) == []
    local.catch_up()
    assert local.titles("不想要了", retriever) == []
    assert local.titles("我开车来", retriever) == ["哪里停车"]


def test_what_is_deleted_is_found_no_more_and_its_vector_is_deleted(knowledge: Knowledge) -> None:
    retriever = knowledge.retriever()
    knowledge.add(RETURN, SHIPPING)
    about = NewDocument(
        "停车", DocumentKind.TEXT, [Part("停车", "地下一层。"), Part("收费", "停车两小时免费。")]
    )
    document = documents.put(knowledge.engine, ACTOR, knowledge.account_id, about)
    knowledge.catch_up()
    assert [source for source, _, _ in knowledge.stored()] == ["document", "document", "pair", "pair"]
    assert len(knowledge.titles("我开车来", retriever)) == 2
    documents.remove(knowledge.engine, ACTOR, knowledge.account_id, document.document_id)
    pairs.delete(knowledge.engine, ACTOR, knowledge.account_id, [knowledge.stored()[-1][1]])
    assert knowledge.titles("我开车来", retriever) == []
    assert knowledge.titles("到我家", retriever) == []
    knowledge.catch_up()
    assert [source for source, _, _ in knowledge.stored()] == ["pair"]
    assert knowledge.titles("不想要了", retriever) == ["怎么退货"]


def test_what_comes_back_before_its_vector_was_deleted_is_found(knowledge: Knowledge) -> None:
    retriever = knowledge.retriever()
    about = NewDocument("停车", DocumentKind.TEXT, [Part("", "地下一层。")])
    document_id = documents.put(knowledge.engine, ACTOR, knowledge.account_id, about).document_id
    knowledge.add(RETURN)
    knowledge.catch_up()
    for state, found in ((KnowledgeState.SUGGESTED, []), (KnowledgeState.APPROVED, ["停车"])):
        documents.set_state(knowledge.engine, ACTOR, knowledge.account_id, document_id, state)
        assert knowledge.titles("我开车来", retriever) == found


# Which texts get vectors


def test_only_texts_that_are_new_or_have_changed_are_embedded(knowledge: Knowledge) -> None:
    assert knowledge.embedder
    knowledge.add(RETURN, SHIPPING, Pair("未采用", "没有", state=KnowledgeState.SUGGESTED))
    reply = {"shortcut": "wifi", "answer": {"kind": "text", "text": "密码是 12345678。"}}
    canned_replies.create(knowledge.engine, ACTOR, knowledge.account_id, reply)
    for _ in range(3):
        knowledge.catch_up()
    expected = ["怎么退货\n七天内申请。", "几天发货\n付款后三天。", "wifi\n密码是 12345678。"]
    assert sorted(knowledge.embedder.texts) == sorted(expected)
    knowledge.embedder.asked.clear()
    pair_id = min(row_id for source, row_id, _ in knowledge.stored() if source == "pair")
    changed = {"question": "怎么退货", "answer": "十五天内申请。"}
    pairs.save(knowledge.engine, ACTOR, knowledge.account_id, pair_id, 1, changed)
    restarted = Knowledge(knowledge.engine, knowledge.account_id, knowledge.embedder)
    for each in (knowledge, restarted):
        each.catch_up()
    assert knowledge.embedder.texts == ["怎么退货\n十五天内申请。"]


def test_another_model_starts_anew_and_none_deletes_all(knowledge: Knowledge) -> None:
    retriever = knowledge.retriever()
    knowledge.add(RETURN, SHIPPING)
    knowledge.catch_up()
    assert knowledge.titles("不想要了", retriever) == ["怎么退货"]
    knowledge.embedder = FakeEmbedder("other")
    assert knowledge.titles("不想要了", retriever) == []
    assert knowledge.embedder.asked == []
    knowledge.catch_up()
    assert {model for _, _, model in knowledge.stored()} == {"other"}
    assert knowledge.titles("不想要了", retriever) == ["怎么退货"]
    knowledge.embedder = None
    knowledge.catch_up()
    assert knowledge.stored() == []
    assert knowledge.titles("不想要了", retriever) == []


def test_a_round_ends_in_time_and_the_next_one_goes_on(local: Knowledge) -> None:
    local.add(*(Pair(f"问题 {number}", "答案") for number in range(BATCH + 5)))
    local.vectorizer = Vectorizer(local.engine, lambda account_id: local.embedder, iter(range(100)).__next__)
    local.vectorizer.catch_up(local.account_id, 3)
    assert len(local.stored()) == BATCH
    local.vectorizer.catch_up(local.account_id, 100)
    assert len(local.stored()) == BATCH + 5


def test_after_an_error_the_pauses_grow_until_the_endpoint_answers(local: Knowledge) -> None:
    local.add(RETURN)
    failing = local.embedder = FakeEmbedder(error=ModelErrorReason.UNREACHABLE)
    attempts = []
    for second in range(0, 100, 5):
        local.now = second
        local.catch_up()
        attempts.append(len(failing.asked))
    assert attempts == [1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 3, 3, 3, 3, 4, 4, 4, 4, 4, 4]
    local.embedder = FakeEmbedder(key="another")
    local.catch_up()
    assert len(local.stored()) == 1


def test_what_is_deleted_loses_its_vector_also_while_the_endpoint_fails(local: Knowledge) -> None:
    local.add(RETURN)
    local.catch_up()
    [(_, pair_id, _)] = local.stored()
    assert local.embedder
    local.embedder.error = ModelErrorReason.UNREACHABLE
    local.add(SHIPPING)
    local.catch_up()
    pairs.delete(local.engine, ACTOR, local.account_id, [pair_id])
    local.catch_up()
    assert local.stored() == []
    assert len(local.embedder.asked) == 2


def test_a_text_that_the_endpoint_refuses_does_not_hold_the_others_up(local: Knowledge) -> None:
    local.add(Pair("有没有违禁品", "没有。"), RETURN, SHIPPING)
    local.embedder = FakeEmbedder(refused="违禁")
    for second in range(0, 10_000, 700):
        local.now = second
        local.catch_up()
    assert len(local.stored()) == 2
    assert local.titles("有没有违禁品") == ["有没有违禁品"]
    assert local.titles("不想要了") == ["怎么退货"]
    local.embedder = FakeEmbedder(refused="—")
    local.catch_up()
    assert len(local.stored()) == 3


def test_a_text_without_a_direction_is_embedded_once(local: Knowledge) -> None:
    local.add(RETURN)
    local.embedder = FakeEmbedder()
    local.embedder.vector = lambda text: [0.0] * 5  # type: ignore[method-assign]
    for _ in range(3):
        local.catch_up()
    assert len(local.embedder.asked) == 1
    assert local.titles("怎么退货") == ["怎么退货"]
