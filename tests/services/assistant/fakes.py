"""An assistant whose model is played by a function, so that nothing is called over a network."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any

from flask import Flask

from wechat_bot.extensions import db
from wechat_bot.llm import ChatMessage, Usage
from wechat_bot.services.assistant.answering import Assistant
from wechat_bot.services.assistant.profile import AssistantProfile
from wechat_bot.services.assistant.profiles import Profiles, StoredProfile
from wechat_bot.services.audit import Actor
from wechat_bot.services.knowledge import pairs
from wechat_bot.services.knowledge.pairs import Pair
from wechat_bot.wiring import EXTENSION, services

ACTOR = Actor(None, "li", "")
LABEL = "（由 AI 生成）"
PROFILE = AssistantProfile(
    enabled=True,
    base_url="http://127.0.0.1:9/v1",
    model="stand-in",
    label=LABEL,
    unknown_text="我不知道。",
    price_in=1,
    price_out=2,
)
PAIRS = (Pair("几天发货？", "付款后三天内发货。"), Pair("怎么退货？", "七天内打 400-123-4567，再寄回。"))


@dataclass
class FakeModel:
    """Answers what `say` makes of the prompt; errors are raised. Prompts are kept."""

    say: Callable[[str], str | Exception] = lambda asked: "三天内发货。"
    prompts: list[Sequence[ChatMessage]] = field(default_factory=list)

    def stream(self, messages: Sequence[ChatMessage], *, max_tokens: int) -> FakeStream:
        self.prompts.append(messages)
        said = self.say(messages[-1].content)
        if isinstance(said, Exception):
            raise said
        return FakeStream(said)

    @property
    def asked(self) -> list[str]:
        """The questions, without the passages."""
        return [
            prompt[-1].content.partition("<提问>\n")[2].removesuffix("\n</提问>") for prompt in self.prompts
        ]


@dataclass
class FakeStream:
    said: str
    usage: Usage = Usage(100, 20)

    def __iter__(self) -> Iterator[str]:
        yield from self.said


class FakeProfiles(Profiles):
    """Profiles whose model is `played`."""

    played: Any = None

    def model(self, stored: StoredProfile) -> Any:
        return self.played


def install(app: Flask, model: FakeModel, profile: AssistantProfile = PROFILE, **options: Any) -> Assistant:
    """Switch an assistant on in `app`, which knows `PAIRS`, and does not wait for more messages.

    The content of a picture is its address.
    """
    bot = services(app)
    with app.app_context():
        profiles = FakeProfiles(db.engine, bot.sealer)
    profiles.played = model
    account_id = bot.account_id
    if not profiles.latest(account_id).version:
        profiles.save(ACTOR, account_id, 0, profile, "sk-secret-0123456789")
        pairs.add_all(bot.engine, ACTOR, account_id, PAIRS)
    pictures: Any = SimpleNamespace(fetch=lambda url, max_bytes: SimpleNamespace(content=url.encode()))
    options = {"sleep": lambda seconds: None, **options}
    assistant = Assistant(bot.engine, profiles, bot.knowledge, pictures, bot.account.time_zone, **options)
    app.extensions[EXTENSION] = replace(bot, profiles=profiles, assistant=assistant)
    return assistant
