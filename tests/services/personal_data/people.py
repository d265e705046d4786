"""A follower of whom every table knows something."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from flask import Flask
from sqlalchemy import Engine, insert, select

from tests.operators import add_operator
from tests.services.messages.journal import CATCH_ALL, NOON, Journal
from wechat_bot.database.transactions import transaction
from wechat_bot.models import (
    Alert,
    AlertChannel,
    BotSession,
    Direction,
    Draft,
    FollowerSync,
    Media,
    MediaState,
    MessageLog,
    ModelAnswer,
    Outcome,
    PendingUpdate,
    Role,
    SyncState,
    UpdateKind,
)
from wechat_bot.models.rows import new_row
from wechat_bot.services.audit import Actor, record_now
from wechat_bot.services.conversations import actions, handover
from wechat_bot.services.followers import profiles
from wechat_bot.wiring import services

OPENID, UNIONID = "oFollowerWhoWantsToBeForgotten", "uFollowerWhoWantsToBeForgotten"
WORDS = "紫色的蜥蜴爬过了屋顶"
"""What nobody else says."""
FILE = b"a picture of a lizard"


class People:
    """Adds followers who have done everything."""

    def __init__(self, app: Flask, engine: Engine) -> None:
        self.engine = engine
        self.journal = Journal(engine)
        self.account_id = self.journal.account_id
        self.store = services(app).archive.store
        self.operator = Actor(add_operator(engine, "wang", Role.OPERATOR), "wang", "")
        self._bot = services(app)

    def add(self, openid: str = OPENID, words: str = WORDS) -> int:
        """Add a follower, and return the id."""
        follower_id = self.journal.follower(openid, scene=words, unionid=UNIONID, alias=words)
        self.say(follower_id, words, openid)
        self._bot.projector.catch_up()
        self._bot.questions.catch_up(10)
        operate = self.engine, self.operator, self.account_id, follower_id
        profiles.rename(self.engine, None, self.operator, self.account_id, follower_id, f"{words}小姐")
        profiles.tag(self.engine, None, self.operator, self.account_id, [follower_id], "常客")
        actions.add_note(*operate, f"{words} @wang")
        actions.touch_presence(self.engine, self.operator.operator_id or 0, follower_id, NOON)
        handover.take(*operate)
        handover.give_back(*operate, words)
        record_now(self.engine, self.operator, "exported", detail=f"csv: q={openid}")
        rows = self._rows(follower_id, openid, words)
        with transaction(self.engine) as connection:
            for model, row in rows:
                connection.execute(insert(model), new_row(model, **row))
        return follower_id

    def say(self, follower_id: int, words: str, openid: str = "") -> int:
        """Add a question that nobody answers, a picture, and an operator's answer; return the first id."""
        payload = {"Content": words, "FromUserName": openid}
        add = self.journal.add
        asked = add(words, follower_id=follower_id, payload=payload, origin=CATCH_ALL, dedup_key=words[:40])
        shown = add("", follower_id=follower_id, kind="image", payload={"PicUrl": words})
        add(words, follower_id=follower_id, direction=Direction.OUT, operator_id=self.operator.operator_id)
        digest = self.store.put(FILE)
        file = {"message_id": shown, "kind": "image", "state": MediaState.STORED, "digest": digest}
        with transaction(self.engine) as connection:
            connection.execute(
                insert(Media), new_row(Media, **file, content_type="image/png", created_at=NOON)
            )
        return asked

    def _rows(self, follower_id: int, openid: str, words: str) -> list[tuple[Any, dict[str, Any]]]:
        of_account, of_follower = {"account_id": self.account_id}, {"follower_id": follower_id}
        operator = {"operator_id": self.operator.operator_id}
        channel = self._channel()
        kind = {"kind": UpdateKind.REMARK, "value": words}
        answer = {"question": words, "answer": words, "error": words, "dedup_key": words[:40]}
        made = {"profile_version": 1, "outcome": Outcome.ANSWERED, "model": "qwen", "cost": 0.25}
        run = {"state": SyncState.DONE, "started_at": NOON, "seen_at": NOON, "cursor": openid}
        return [
            (BotSession, {**of_follower, "state": words[:9], "session": {"name": words}}),
            (PendingUpdate, {**of_follower, **kind, "created_at": NOON}),
            (Draft, {**of_follower, **operator, "text": words, "written_at": NOON}),
            (Alert, {**of_follower, "channel_id": channel, "occasion": "waiting", "since": NOON}),
            (ModelAnswer, {**of_account, **of_follower, **answer, **made, "created_at": NOON}),
            (FollowerSync, {**of_account, **run}),
            (MessageLog, self._report(openid)),
        ]

    def _report(self, openid: str) -> dict[str, Any]:
        """A report of the platform that names the follower."""
        return {
            "account_id": self.account_id,
            "direction": Direction.IN,
            "kind": "event",
            "event": "user_authorization_revoke",
            "payload": {"OpenID": openid},
            "created_at": NOON,
            "received_at": NOON,
            "state": "answered",
        }

    def _channel(self) -> int:
        times = {"created_at": NOON - timedelta(days=1), "next_at": NOON}
        with transaction(self.engine) as connection:
            row = new_row(AlertChannel, account_id=self.account_id, definition={}, **times)
            connection.execute(insert(AlertChannel), row)
            return connection.scalars(select(AlertChannel.id)).all()[-1]
