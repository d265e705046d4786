"""Answers that owners prepare in the console: values that become replies when they are given."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache

from ..wechat.api.outgoing import Choice, MiniProgramPage, MpNewsArticle, MsgMenu, NativeReply
from ..wechat.replies import (
    MAX_ARTICLES,
    MAX_TEXT_BYTES,
    Article,
    ImageReply,
    MusicReply,
    NewsReply,
    PlatformAIReply,
    Reply,
    TextReply,
    TransferReply,
    VideoReply,
    VoiceReply,
)
from .strict_json import Definition, Problem, ProblemCode

MAX_CHOICES = 10
MAX_TITLE = 64
"""Upper limit of titles in characters."""

FILE_FIELDS = ("file_id", "cover_file_id")
"""The fields of answers that are ids of files."""

_VARIABLE = re.compile(r"\{\{\s*(\w+)\s*(?:\|\s*([^{}]*?)\s*)?\}\}")
_LINK = re.compile(r"""[^\s"<>]+""")


@dataclass(frozen=True)
class Giving:
    """What is known when an answer is given."""

    media_id: Callable[[int], str]
    """Returns the platform's id of one of our files; raises `MissingFile`."""
    variables: Mapping[str, str]

    def fill(self, text: str) -> str:
        return fill(text, self.variables)


class MissingFile(Exception):
    """The platform has no usable copy of a file, so that an answer cannot be given."""


def fill(text: str, variables: Mapping[str, str]) -> str:
    """Return `text` with its variables replaced: ``{{name}}``, or ``{{name|friend}}`` with a default."""
    return _VARIABLE.sub(lambda found: variables.get(found[1]) or found[2] or "", text)


def unfilled(text: str, variables: Mapping[str, str]) -> set[str]:
    """Return the names of the variables in a text that have neither a value nor a default."""
    return {found[1] for found in _VARIABLE.finditer(text) if not (variables.get(found[1]) or found[2])}


def variables_in(text: str) -> set[str]:
    """Return the names of the variables in a text."""
    return {found[1] for found in _VARIABLE.finditer(text)}


class PreparedAnswer(Definition):
    """Base class of answers."""

    is_alone = False
    """Whether it cannot be one of several answers to a message."""
    hands_over = False
    """Whether a person has to look at the message."""
    calls_person = False
    """Whether a person answers the follower from then on, in the console."""

    @classmethod
    @cache
    def variants(cls) -> Mapping[str, type[Definition]]:
        return {answer.kind: answer for answer in PreparedAnswer.__subclasses__()}

    @property
    def templates(self) -> tuple[str, ...]:
        """The texts that may have variables."""
        return ()

    @property
    def file(self) -> int:
        """The id of the file of the library that it has; 0 for none."""
        return next((getattr(self, name) for name in FILE_FIELDS if hasattr(self, name)), 0)

    def reply(self, giving: Giving) -> Reply | None:
        """Return the reply, which any account can give passively; None for silence.

        :raises MissingFile: if a file cannot be sent.
        """
        raise NotImplementedError


@dataclass(frozen=True)
class TextAnswer(PreparedAnswer):
    kind = "text"
    text: str

    @property
    def templates(self) -> tuple[str, ...]:
        return (self.text,)

    def problems(self) -> Iterator[Problem]:
        yield from _text_problems("text", self.text)

    def reply(self, giving: Giving) -> Reply | None:
        text = giving.fill(self.text)
        return TextReply(text) if text.strip() else None


@dataclass(frozen=True)
class ImageAnswer(PreparedAnswer):
    kind = "image"
    file_id: int

    def problems(self) -> Iterator[Problem]:
        yield from _file_problems("file_id", self.file_id)

    def reply(self, giving: Giving) -> Reply | None:
        return ImageReply(giving.media_id(self.file_id))


@dataclass(frozen=True)
class VoiceAnswer(PreparedAnswer):
    kind = "voice"
    file_id: int

    def problems(self) -> Iterator[Problem]:
        yield from _file_problems("file_id", self.file_id)

    def reply(self, giving: Giving) -> Reply | None:
        return VoiceReply(giving.media_id(self.file_id))


@dataclass(frozen=True)
class VideoAnswer(PreparedAnswer):
    kind = "video"
    file_id: int
    title: str = ""
    description: str = ""

    def problems(self) -> Iterator[Problem]:
        yield from _file_problems("file_id", self.file_id)
        yield from _characters("title", self.title)

    def reply(self, giving: Giving) -> Reply | None:
        return VideoReply(giving.media_id(self.file_id), self.title, self.description)


@dataclass(frozen=True)
class MusicAnswer(PreparedAnswer):
    kind = "music"
    url: str
    cover_file_id: int
    title: str = ""
    description: str = ""
    hq_url: str = ""

    def problems(self) -> Iterator[Problem]:
        yield from _file_problems("cover_file_id", self.cover_file_id)
        yield from _characters("title", self.title)
        yield from _link_problems("url", self.url)
        if self.hq_url:
            yield from _link_problems("hq_url", self.hq_url)

    def reply(self, giving: Giving) -> Reply | None:
        cover = giving.media_id(self.cover_file_id)
        return MusicReply(cover, self.title, self.description, self.url, self.hq_url or self.url)


@dataclass(frozen=True)
class PreparedArticle(Definition):
    """An article of a `NewsAnswer`, which may be on any site."""

    title: str
    url: str
    description: str = ""
    picture: str = ""
    """The URL of its picture."""

    def problems(self) -> Iterator[Problem]:
        yield from _blank("title", self.title)
        yield from _characters("title", self.title)
        yield from _link_problems("url", self.url)
        if self.picture:
            yield from _link_problems("picture", self.picture)

    def article(self) -> Article:
        return Article(self.title, self.description, self.picture, self.url)


@dataclass(frozen=True)
class NewsAnswer(PreparedAnswer):
    """Articles. In reply to a message only the first is shown (``wechat-platform.md`` section 5.3)."""

    kind = "news"
    articles: tuple[PreparedArticle, ...]

    def problems(self) -> Iterator[Problem]:
        if not self.articles:
            yield Problem("articles", ProblemCode.MISSING)
        if len(self.articles) > MAX_ARTICLES:
            yield Problem("articles", ProblemCode.TOO_MANY, str(MAX_ARTICLES))

    def reply(self, giving: Giving) -> Reply | None:
        return NewsReply(tuple(article.article() for article in self.articles))


@dataclass(frozen=True)
class PublishedAnswer(PreparedAnswer):
    """An article that the account has published."""

    kind = "published"
    article_id: str
    article: PreparedArticle
    """What is shown of it."""

    def problems(self) -> Iterator[Problem]:
        yield from _blank("article_id", self.article_id)

    def reply(self, giving: Giving) -> Reply | None:
        return NativeReply(MpNewsArticle(self.article_id), NewsReply((self.article.article(),)))


@dataclass(frozen=True)
class ChoicesAnswer(PreparedAnswer):
    """A menu message. A tap sends the text of the choice, which rules answer like a text that was typed."""

    kind = "choices"
    text: str
    choices: tuple[str, ...]
    ending: str = ""

    @property
    def templates(self) -> tuple[str, ...]:
        return (self.text, self.ending)

    def problems(self) -> Iterator[Problem]:
        yield from _blank("text", self.text)
        if not self.choices:
            yield Problem("choices", ProblemCode.MISSING)
        if len(self.choices) > MAX_CHOICES:
            yield Problem("choices", ProblemCode.TOO_MANY, str(MAX_CHOICES))
        for number, choice in enumerate(self.choices):
            yield from _blank(f"choices[{number}]", choice)
            if "<" in choice or ">" in choice:
                yield Problem(f"choices[{number}]", ProblemCode.FORMAT, "text without < and >")
        yield from _bytes("choices", self._menu(self.text, self.ending).as_text)

    def reply(self, giving: Giving) -> Reply | None:
        menu = self._menu(giving.fill(self.text), giving.fill(self.ending))
        return NativeReply(menu, TextReply(menu.as_text))

    def _menu(self, text: str, ending: str) -> MsgMenu:
        choices = (Choice(f"choice-{number}", choice) for number, choice in enumerate(self.choices, 1))
        return MsgMenu(text, tuple(choices), ending)


@dataclass(frozen=True)
class MiniProgramAnswer(PreparedAnswer):
    """A page of a mini program, or `url` in clients that have none.

    It is a link, and with a cover a card where the platform has one for it.
    """

    kind = "mini_program"
    app_id: str
    path: str
    title: str
    url: str
    cover_file_id: int = 0
    """The picture of the card; 0 for none."""

    def problems(self) -> Iterator[Problem]:
        yield from _blank("title", self.title)
        yield from _characters("title", self.title)
        if self.cover_file_id < 0:
            yield Problem("cover_file_id", ProblemCode.NOT_POSITIVE)
        for name in ("app_id", "path", "url"):
            yield from _link_problems(name, getattr(self, name))

    def reply(self, giving: Giving) -> Reply | None:
        program = f'data-miniprogram-appid="{self.app_id}" data-miniprogram-path="{self.path}"'
        link = TextReply(f'<a {program} href="{self.url}">{self.title}</a>')
        if not self.cover_file_id:
            return link
        try:
            cover = giving.media_id(self.cover_file_id)
        except MissingFile:
            return link
        return NativeReply(MiniProgramPage(self.title, self.app_id, self.path, cover), link)


@dataclass(frozen=True)
class PersonAnswer(PreparedAnswer):
    """Leaves the message to a person, in the console or at the platform's own customer-service desk."""

    kind = "person"
    hands_over = True
    text: str = ""
    """What the follower is told, instead of what the `HandoverPolicy` says. The platform's desk tells
    something itself."""
    desk: bool = False
    """Whether the platform's desk takes the message."""
    agent: str = ""
    """The account of the agent at that desk; empty for any."""

    @property
    def is_alone(self) -> bool:  # type: ignore[override]
        return self.desk

    @property
    def calls_person(self) -> bool:  # type: ignore[override]
        return not self.desk

    @property
    def templates(self) -> tuple[str, ...]:
        return (self.text,)

    def problems(self) -> Iterator[Problem]:
        yield from _bytes("text", self.text)
        for name in ("text",) if self.desk else ("agent",):
            if getattr(self, name):
                yield Problem(name, ProblemCode.USELESS, "desk" if self.desk else "person")

    def reply(self, giving: Giving) -> Reply | None:
        if self.desk:
            return TransferReply(self.agent)
        text = giving.fill(self.text)
        return TextReply(text) if text.strip() else None


@dataclass(frozen=True)
class PlatformAIAnswer(PreparedAnswer):
    """Leaves the message to the platform's own AI."""

    kind = "platform_ai"
    is_alone = True

    def reply(self, giving: Giving) -> Reply | None:
        return PlatformAIReply()


@dataclass(frozen=True)
class SilentAnswer(PreparedAnswer):
    """No answer."""

    kind = "nothing"
    is_alone = True

    def reply(self, giving: Giving) -> Reply | None:
        return None


def _text_problems(field: str, text: str) -> Iterator[Problem]:
    yield from _blank(field, text)
    yield from _bytes(field, text)


def _blank(field: str, text: str) -> Iterator[Problem]:
    if not text.strip():
        yield Problem(field, ProblemCode.BLANK)


def _bytes(field: str, text: str) -> Iterator[Problem]:
    if len(text.encode()) > MAX_TEXT_BYTES:
        yield Problem(field, ProblemCode.BYTES, str(MAX_TEXT_BYTES))


def _characters(field: str, text: str) -> Iterator[Problem]:
    if len(text) > MAX_TITLE:
        yield Problem(field, ProblemCode.CHARACTERS, str(MAX_TITLE))


def _file_problems(field: str, file_id: int) -> Iterator[Problem]:
    if file_id < 1:
        yield Problem(field, ProblemCode.NOT_POSITIVE)


def _link_problems(field: str, text: str) -> Iterator[Problem]:
    if not _LINK.fullmatch(text):
        yield Problem(field, ProblemCode.FORMAT, "text without blanks, quotes, < and >")
