"""The embedding model of a profile: what it is sent, and that answers come of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from flask import Flask
from sqlalchemy import func, select
from werkzeug.wrappers import Response

from tests.services.assistant import fakes
from tests.services.assistant.fakes import ACTOR, PAIRS, PROFILE
from wechat_bot.extensions import db
from wechat_bot.models import KnowledgeVector, Outcome
from wechat_bot.services.assistant.answering import Question
from wechat_bot.services.assistant.embedding import MaskedEmbedder, embedder
from wechat_bot.services.health.heartbeats import heartbeat
from wechat_bot.simulator.language_model import EMBEDDING
from wechat_bot.testing import FakeModel, listening
from wechat_bot.wiring import services
from wechat_bot.worker import embed_knowledge

PHONE = "13800138000"


class RecordingModel(FakeModel):
    """Keeps the texts that it is asked to embed."""

    def __init__(self) -> None:
        super().__init__()
        self.embedded: list[str] = []

    def embed(self, body: Mapping[str, Any], authorization: str) -> Response:
        self.embedded += body["input"]
        return super().embed(body, authorization)


def test_no_number_of_a_person_reaches_the_embedding_model() -> None:
    model = RecordingModel()
    vectors = MaskedEmbedder(model.model(), EMBEDDING).embed([f"我是{PHONE}", PHONE, "怎么退货"], 3)
    assert model.embedded == ["我是[手机号1]", "[手机号1]", "怎么退货"]
    assert len(vectors) == 3


def test_a_profile_without_an_embedding_model_has_none(app: Flask) -> None:
    bot = services(app)
    assert embedder(bot.profiles, bot.account_id) is None
    bot.profiles.save(ACTOR, bot.account_id, 0, replace(PROFILE, embedding_model=EMBEDDING), "sk-1")
    found = embedder(bot.profiles, bot.account_id)
    assert found
    assert found == embedder(bot.profiles, bot.account_id)
    assert (found.model, found.endpoint.key) == (EMBEDDING, "sk-1")


def test_the_leader_embeds_texts_and_questions_leave_masked_or_not_at_all(app: Flask) -> None:
    bot, model = services(app), RecordingModel()
    with listening(model) as url:
        profile = replace(PROFILE, base_url=f"{url}/v1", embedding_model=EMBEDDING, blocked_in=("赌博",))
        assistant = fakes.install(app, fakes.FakeModel(), profile)
        heartbeat(bot.engine, "leader")
        embed_knowledge(app, "another")
        assert model.embedded == []
        embed_knowledge(app, "leader")
        with app.app_context():
            assert db.session.scalar(select(func.count()).select_from(KnowledgeVector)) == len(PAIRS)
        model.embedded.clear()
        assert assistant.answer(Question(bot.account_id, texts=("赌博几天发货",))).outcome is Outcome.BLOCKED
        assert model.embedded == []
        answered = assistant.answer(Question(bot.account_id, texts=(f"几天发货？我是{PHONE}",)))
        assert [passage.title for passage in answered.passages] == ["几天发货？"]
        assert model.embedded == ["几天发货？我是"]
    later = assistant.answer(Question(bot.account_id, texts=("几天发货？",)))
    assert [passage.title for passage in later.passages] == ["几天发货？"]
