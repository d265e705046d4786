"""Answers questions with a language model from approved passages, and records what became of each."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, tzinfo

from sqlalchemy import Engine

from ...database.clock import database_now
from ...llm import ChatMessage, ModelError, Usage, prepare
from ...models import ModelAnswer, Outcome
from ...models.columns import storable
from ...models.rows import Row, new_row
from ...wechat.api.pictures import Pictures
from ...wechat.errors import APIError
from ..knowledge.retrieval import Passage, Retriever
from . import prompt, records
from .guards import Spent, forbidden_word, reached_limit, used_share
from .masking import Mask, without_numbers
from .profile import AssistantProfile
from .profiles import Profiles, StoredProfile
from .turns import load_turn

MORE_SECONDS = 1.5
"""Seconds after a message in which what else its follower writes belongs to the same question."""
MAX_PASSAGES = 5
MAX_PICTURES = 3
MAX_PICTURE = 5 << 20
"""The upper limit of a picture in bytes."""
MAX_QUESTION = 8000
"""Characters of a question that are looked at."""


@dataclass(frozen=True)
class Question:
    """What a follower wants to know. An operator who tries the assistant has no follower."""

    account_id: int
    follower_id: int | None = None
    texts: tuple[str, ...] = ()
    memory: tuple[ChatMessage, ...] = ()
    dedup_key: str | None = None
    """That of the message which is answered."""
    last_message_id: int | None = None
    """The newest message of the question."""
    pictures: tuple[bytes, ...] = ()

    @property
    def text(self) -> str:
        return "\n".join(self.texts)[:MAX_QUESTION]


@dataclass(frozen=True)
class Answered:
    """What became of a question."""

    text: str
    """What the follower is told, in the Markdown of the model and without the mark of AI; may be empty."""
    outcome: Outcome
    passages: tuple[Passage, ...] = ()
    usage: Usage = Usage(0, 0)
    milliseconds: int = 0
    profile_version: int = 0
    model: str = ""
    """Empty if no model was asked."""
    error: str = ""
    """Why the model failed, which limit was reached, or which word is forbidden."""
    written: str = ""
    """What the model wrote, with masked numbers, also where the follower does not get it."""
    id: int = 0
    """Its row of `ModelAnswer`."""

    @property
    def is_by_ai(self) -> bool:
        """Whether a model wrote the text."""
        return self.outcome is Outcome.ANSWERED


class Assistant:
    """The assistants of accounts. Thread-safe.

    The days of `zone` count for limits. `clock` and `sleep` are replaced in tests.
    """

    def __init__(
        self,
        engine: Engine,
        profiles: Profiles,
        knowledge: Retriever,
        pictures: Pictures,
        zone: tzinfo,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._engine = engine
        self._profiles = profiles
        self._knowledge = knowledge
        self._pictures = pictures
        self._zone = zone
        self._log = records.AnswerLog(engine)
        self._clock = clock
        self._sleep = sleep

    def is_on(self, account_id: int) -> bool:
        """Whether the assistant answers followers of an account."""
        return self.profile(account_id).enabled

    def profile(self, account_id: int) -> AssistantProfile:
        return self._profiles.current(account_id).profile

    def spent(self, account_id: int, follower_id: int | None = None) -> Spent:
        """Return what answers have taken until now."""
        with self._engine.connect() as connection:
            return records.spent(connection, account_id, follower_id, database_now(), self._zone)

    def budget(self, account_id: int) -> float | None:
        """Return the share of the day's budget that is used, 0 without one; None if the assistant is off."""
        profile = self.profile(account_id)
        return used_share(profile, self.spent(account_id)) if profile.enabled else None

    def question(
        self, account_id: int, key: str, received_at: datetime, resets: Collection[str] = ()
    ) -> Question | None:
        """Return the question that begins with the message with the dedup key `key`.

        What the follower writes until `MORE_SECONDS` after it belongs to the question. None if the message
        was part of an earlier question. A message with an origin of `resets` lets what was said before it be
        forgotten.
        """
        prepare()
        age = (database_now() - received_at).total_seconds()
        self._sleep(min(max(0.0, MORE_SECONDS - age), MORE_SECONDS))
        profile = self.profile(account_id)
        with self._engine.connect() as connection:
            turn = load_turn(connection, key, profile, self._zone, database_now(), resets)
        if turn is None:
            return None
        pictures = tuple(self._load(turn.pictures)) if profile.sees_pictures else ()
        return Question(
            account_id, turn.follower_id, turn.texts, turn.memory, key, turn.last_message_id, pictures
        )

    def _load(self, urls: Sequence[str]) -> Iterator[bytes]:
        """Yield the newest pictures; those that cannot be had are left out."""
        for url in urls[-MAX_PICTURES:]:
            with suppress(APIError):
                yield self._pictures.fetch(url, MAX_PICTURE).content

    def answer(
        self,
        question: Question,
        *,
        profile: StoredProfile | None = None,
        tell: Callable[[str], None] = lambda text: None,
    ) -> Answered:
        """Answer a question, with the account's profile or another one, and record what became of it.

        :param tell: called with what is written of the answer so far.
        """
        stored = profile or self._profiles.current(question.account_id)
        started = self._clock()
        answered = self._answer(question, stored, tell)
        milliseconds = round((self._clock() - started) * 1000)
        answered = replace(answered, milliseconds=milliseconds, profile_version=stored.version)
        row = _row(question, answered, stored.profile)
        return replace(answered, id=self._log.insert(row))

    def _answer(self, question: Question, stored: StoredProfile, tell: Callable[[str], None]) -> Answered:
        profile = stored.profile
        if word := forbidden_word(question.text, profile.blocked_in):
            return Answered(profile.unknown_text, Outcome.BLOCKED, error=word)
        if limit := reached_limit(profile, self.spent(question.account_id, question.follower_id)):
            return Answered("", Outcome.OVER_BUDGET, error=limit)
        passages = self._passages(question, profile)
        if not passages and not profile.may_chat:
            return Answered(profile.unknown_text, Outcome.UNKNOWN)
        return self._ask(question, stored, passages, tell)

    def _passages(self, question: Question, profile: AssistantProfile) -> tuple[Passage, ...]:
        """Return the passages that answer a question, or else the one before it, which it may refer to.

        Of a question that consists of several messages, one may be enough to find them.
        """
        before = [message.content for message in question.memory if message.role == "user"]
        for texts in ([question.text, *question.texts[-MAX_PASSAGES:]], before[-1:]):
            if found := self._knowledge.find_any(
                question.account_id,
                list(dict.fromkeys(map(without_numbers, texts))),
                limit=MAX_PASSAGES,
                threshold=profile.threshold,
            ):
                return tuple(found)
        return ()

    def _ask(
        self,
        question: Question,
        stored: StoredProfile,
        passages: tuple[Passage, ...],
        tell: Callable[[str], None],
    ) -> Answered:
        """Ask the model, and tell what it has written while it is nothing but an answer."""
        profile = stored.profile
        mask, messages = _masked_prompt(question, passages, profile)
        answered = Answered("", Outcome.FAILED, passages, model=profile.model)
        stream, written = None, ""
        try:
            stream = self._profiles.model(stored).stream(messages, max_tokens=profile.max_tokens)
            for part in stream:
                written += part
                so_far = _judged(answered, written, profile, mask)
                tell(so_far.text if so_far.is_by_ai else "")
        except (ModelError, ValueError) as error:
            answered = replace(answered, error=str(error)[:255])
        else:
            answered = _judged(answered, written, profile, mask)
        return replace(answered, usage=stream.usage if stream else Usage(0, 0), written=written)


def _masked_prompt(
    question: Question, passages: Sequence[Passage], profile: AssistantProfile
) -> tuple[Mask, list[ChatMessage]]:
    """Return what reveals the numbers that are masked in the prompt, and the prompt."""
    remembered = [message.content for message in question.memory]
    given = [text for passage in passages for text in (passage.title, passage.text)]
    mask = Mask([question.text, *remembered, *given])
    asked = ChatMessage("user", mask.hide(question.text), question.pictures)
    memory = [replace(message, content=mask.hide(message.content)) for message in question.memory]
    hidden = [replace(each, title=mask.hide(each.title), text=mask.hide(each.text)) for each in passages]
    return mask, prompt.build(profile.instructions, hidden, memory, asked, may_chat=profile.may_chat)


def _judged(answered: Answered, written: str, profile: AssistantProfile, mask: Mask) -> Answered:
    """Return what becomes of the words of a model."""
    if prompt.PERSON in written:
        return replace(answered, outcome=Outcome.HANDED_OVER)
    if prompt.UNKNOWN in written:
        return replace(answered, text=profile.unknown_text, outcome=Outcome.UNKNOWN)
    text = mask.reveal(written).strip().removesuffix(profile.label.strip()).strip()
    if word := forbidden_word(text, profile.blocked_out):
        return replace(answered, text=profile.unknown_text, outcome=Outcome.BLOCKED, error=word)
    if not text:
        return replace(answered, error="empty")
    return replace(answered, text=text, outcome=Outcome.ANSWERED)


def _row(question: Question, answered: Answered, profile: AssistantProfile) -> Row:
    usage = answered.usage
    millionths = usage.prompt_tokens * profile.price_in + usage.completion_tokens * profile.price_out
    passages = [
        {
            "id": each.id,
            "source": each.source,
            "title": each.title,
            "link": each.link,
            "score": round(each.score, 3),
        }
        for each in answered.passages
    ]
    return new_row(
        ModelAnswer,
        account_id=question.account_id,
        follower_id=question.follower_id,
        dedup_key=question.dedup_key,
        last_message_id=question.last_message_id,
        outcome=answered.outcome,
        error=storable(answered.error),
        model=answered.model,
        profile_version=answered.profile_version,
        prompt_tokens=usage.prompt_tokens,
        completion_tokens=usage.completion_tokens,
        cost=millionths / 1_000_000,
        milliseconds=answered.milliseconds,
        passages=passages,
        question=storable(Mask([question.text]).hide(question.text)),
        answer=storable(answered.written),
        created_at=database_now(),
    )
