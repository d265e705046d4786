"""Converts the menu and the automatic replies of the platform's console to rules (sections 7.3 and 7.17).

`convert` is a pure function. Files are fetched before: `files_in` names those that it needs.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from hashlib import blake2b
from itertools import count
from typing import Any

from ...routing.answers import (
    MAX_TITLE,
    ImageAnswer,
    NewsAnswer,
    PreparedAnswer,
    PreparedArticle,
    TextAnswer,
    VideoAnswer,
    VoiceAnswer,
    variables_in,
)
from ...routing.definitions import MAX_ANSWERS, MAX_NAME, MatchKind, Pattern, Pick, Rule, Trigger, TriggerKind
from ...routing.strict_json import InvalidDefinition
from ...wechat.api.menu import Button, CurrentMenu, NewsInfo
from ...wechat.api.system import AutoReplies, AutoReply, RuleKeyword, RuleReply
from ...wechat.api.system import Rule as KeywordRule
from ...wechat.replies import MAX_ARTICLES
from ..menus.buttons import dump

KEY_PREFIX = "imported-"
"""How the keys of buttons begin that become buttons with rules."""
CONTAINS_SUFFIX = "（半匹配）"
"""What the name of a rule ends with that has those keywords of another that need only occur."""
FILE_KINDS = {"img": "image", "image": "image", "voice": "voice", "video": "video"}
"""Kinds of files by the platform's names."""
_MATCH_KINDS = {"equal": MatchKind.WHOLE, "contain": MatchKind.CONTAINS}
_FILE_ANSWERS: dict[str, Callable[[int], PreparedAnswer]] = {
    "image": ImageAnswer,
    "voice": VoiceAnswer,
    "video": VideoAnswer,
}
_MESSAGES = frozenset({TriggerKind.TEXT, TriggerKind.NOTHING_MATCHED})
"""Triggers that are messages, in reply to which one article is shown (section 5.3)."""
_WITH_RULES = frozenset({"text", "news", *FILE_KINDS})
"""The types of buttons that become rules."""
_PUBLISHABLE = frozenset(
    {
        "view",
        "miniprogram",
        "scancode_push",
        "scancode_waitmsg",
        "pic_sysphoto",
        "pic_photo_or_album",
        "pic_weixin",
        "location_select",
        "media_id",
        "view_limited",
        "article_id",
        "article_view_limited",
    }
)
"""The types of buttons that are published as they are. Those of the type click need an answer, too."""


class Source(StrEnum):
    """Where something was set in the platform's console."""

    FOLLOWED = "followed"
    KEYWORDS = "keywords"
    DEFAULT = "default"
    MENU = "menu"


_EVENTS = {
    Source.FOLLOWED: ("被关注回复", TriggerKind.FOLLOWED),
    Source.DEFAULT: ("收到消息回复", TriggerKind.NOTHING_MATCHED),
}
"""Names, as the platform's console has them, and triggers of the rules that have no names there."""


class Outcome(StrEnum):
    """What becomes of it."""

    TAKEN = "taken"
    CHANGED = "changed"
    IMPOSSIBLE = "impossible"


class NoteCode(StrEnum):
    """How something is changed, or why it cannot be imported."""

    ANSWER_KIND = "answer_kind"
    """There is no answer of the kind `detail`."""
    BUTTON_KIND = "button_kind"
    """The API publishes no button of the type `detail`; it is kept and shown."""
    CHOOSE_AGAIN = "choose_again"
    """A file was not to be had, for the reason `detail`; it must be chosen again."""
    ARTICLE = "article"
    """An article has no title or no address; `detail` is what it has."""
    ONE_ARTICLE = "one_article"
    """Only the first of several articles is shown in reply to a message."""
    TITLE_CUT = "title_cut"
    NAME_CUT = "name_cut"
    VARIABLE = "variable"
    """Two braces would begin a variable; there is a blank between them now."""
    KEYWORD = "keyword"
    """The keyword `detail` is no text, blank or too long."""
    NO_KEYWORD = "no_keyword"
    NO_ANSWER = "no_answer"
    """There is nothing to answer with."""
    TOO_MANY_ANSWERS = "too_many_answers"
    """Only the first `detail` answers are taken."""
    INVALID = "invalid"
    """An answer breaks a limit, which `detail` tells."""
    SPLIT = "split"
    """Keywords that need only occur are in a rule of their own, which follows those of whole messages."""
    KEY_UNANSWERED = "key_unanswered"
    """No rule answers the key `detail`; a handler in code may."""
    UNREADABLE = "unreadable"
    """The platform's description made no sense."""


@dataclass(frozen=True)
class Note:
    code: NoteCode
    detail: str = ""


@dataclass(frozen=True)
class Item:
    """Something that was set in the platform's console, and what becomes of it."""

    source: Source
    name: str
    outcome: Outcome
    notes: tuple[Note, ...] = ()
    rule: Rule | None = None


@dataclass(frozen=True)
class Report:
    """What an import would do."""

    items: tuple[Item, ...]
    """In the order in which rules are asked; then the buttons of the menu."""
    menu: tuple[Button, ...]
    """The menu with the keys of its rules. Buttons that cannot be published are as they were."""

    @property
    def rules(self) -> tuple[Rule, ...]:
        return tuple(item.rule for item in self.items if item.rule)

    @property
    def counts(self) -> Mapping[Outcome, int]:
        return Counter(item.outcome for item in self.items)

    @property
    def fingerprint(self) -> str:
        """Names the rules and the menu, so that what an operator has seen is what is stored."""
        content = json.dumps([rule.to_json() for rule in self.rules]) + dump(self.menu)
        return blake2b(content.encode(), digest_size=8).hexdigest()


Files = Mapping[str, int | str]
"""For the platform's ids and addresses of files, the ids of ours, or why a file was not to be had."""


def files_in(replies: AutoReplies, menu: CurrentMenu) -> dict[str, str]:
    """Return the kinds of the files that are needed, by the platform's ids or addresses."""
    used = [
        _as_answer(replies.add_friend_autoreply_info),
        _as_answer(replies.message_default_autoreply_info),
        *(reply for rule in replies.keyword_autoreply_info for reply in rule.reply_list_info),
        *(_as_answer(button) for _, button in _leaves(menu.button)),
    ]
    return {
        reply.content: FILE_KINDS[reply.type] for reply in used if reply.type in FILE_KINDS and reply.content
    }


def convert(replies: AutoReplies, menu: CurrentMenu, files: Files, answered: Collection[str] = ()) -> Report:
    """Return what an import would do.

    Rules are in the order of their creation, but those that have a keyword for whole messages come first,
    because the platform prefers them.

    :param answered: keys of buttons that rules answer already.
    """
    greets, answers = replies.is_add_friend_reply_open, replies.is_autoreply_open
    rules = sorted(replies.keyword_autoreply_info, key=lambda rule: rule.create_time)
    unreadable = (Note(NoteCode.UNREADABLE),)
    buttons, of_menu = _convert_menu(menu, files, answered)
    items = (
        *_event_items(Source.FOLLOWED, replies.add_friend_autoreply_info, files, enabled=greets),
        *_in_order([_keyword_item(rule, files, enabled=answers) for rule in rules]),
        *(
            Item(Source.KEYWORDS, name, Outcome.IMPOSSIBLE, unreadable)
            for name in replies.keyword_autoreply_info.unreadable
        ),
        *_event_items(Source.DEFAULT, replies.message_default_autoreply_info, files, enabled=answers),
        *of_menu,
    )
    return Report(items, buttons)


# Rules


def _event_items(source: Source, reply: AutoReply, files: Files, *, enabled: bool) -> Iterator[Item]:
    name, trigger = _EVENTS[source]
    if reply.type or reply.content:
        yield _item(source, name, Trigger(trigger), [_as_answer(reply)], files, enabled=enabled)


def _keyword_item(rule: KeywordRule, files: Files, *, enabled: bool) -> Item:
    notes: list[Note] = []
    patterns = tuple(_patterns(rule.keyword_list_info, notes))
    name = rule.rule_name.strip() or next((pattern.text for pattern in patterns), "")
    if not patterns:
        return Item(Source.KEYWORDS, name, Outcome.IMPOSSIBLE, (*notes, Note(NoteCode.NO_KEYWORD)))
    return _item(
        Source.KEYWORDS,
        name,
        Trigger(TriggerKind.TEXT),
        rule.reply_list_info,
        files,
        notes,
        patterns=patterns,
        enabled=enabled,
        pick=Pick.RANDOM if rule.reply_mode == "random_one" else Pick.ALL,
    )


def _patterns(keywords: Iterable[RuleKeyword], notes: list[Note]) -> Iterator[Pattern]:
    for keyword in keywords:
        pattern = Pattern(_MATCH_KINDS.get(keyword.match_mode, MatchKind.CONTAINS), keyword.content)
        if keyword.type not in {"text", ""} or any(pattern.problems()):
            notes.append(Note(NoteCode.KEYWORD, keyword.content[:MAX_NAME]))
        else:
            yield pattern


def _item(
    source: Source,
    name: str,
    trigger: Trigger,
    replies: Sequence[RuleReply],
    files: Files,
    notes: Iterable[Note] = (),
    **more: Any,
) -> Item:
    """Return the item of a rule, which is impossible if nothing remains to answer with."""
    noted = list(notes)
    answers = tuple(_answers(replies, trigger.type, files, noted))
    if len(answers) > MAX_ANSWERS:
        noted.append(Note(NoteCode.TOO_MANY_ANSWERS, str(MAX_ANSWERS)))
    if len(name) > MAX_NAME:
        noted.append(Note(NoteCode.NAME_CUT))
    if not answers:
        return Item(source, name, Outcome.IMPOSSIBLE, (*noted, Note(NoteCode.NO_ANSWER)))
    rule = Rule(name[:MAX_NAME], trigger, answers[:MAX_ANSWERS], **more)
    try:
        Rule.from_json(rule.to_json())
    except InvalidDefinition as error:
        return Item(source, name, Outcome.IMPOSSIBLE, (*noted, Note(NoteCode.INVALID, str(error))))
    return Item(source, name, Outcome.CHANGED if noted else Outcome.TAKEN, tuple(noted), rule)


def _in_order(items: Sequence[Item]) -> list[Item]:
    """Put rules with keywords for whole messages first.

    Their other keywords become rules of their own where they would take a whole message from another rule.
    """
    wholes = {word for item in items for word in _words(item, MatchKind.WHOLE)}
    ordered = [part for item in items for part in _split(item, wholes)]
    return sorted(ordered, key=lambda item: bool(item.rule) and not _words(item, MatchKind.WHOLE))


def _split(item: Item, wholes: set[str]) -> Sequence[Item]:
    own, occurring = _words(item, MatchKind.WHOLE), _words(item, MatchKind.CONTAINS)
    if not (item.rule and own and any(word in whole for word in occurring for whole in wholes - own)):
        return [item]
    parts = []
    for match, suffix in ((MatchKind.WHOLE, ""), (MatchKind.CONTAINS, CONTAINS_SUFFIX)):
        patterns = tuple(pattern for pattern in item.rule.patterns if pattern.match is match)
        name = item.rule.name[: MAX_NAME - len(suffix)] + suffix
        rule = replace(item.rule, name=name, patterns=patterns)
        notes = (*item.notes, Note(NoteCode.SPLIT))
        parts.append(replace(item, name=name, outcome=Outcome.CHANGED, notes=notes, rule=rule))
    return parts


def _words(item: Item, match: MatchKind) -> set[str]:
    patterns = item.rule.patterns if item.rule else ()
    return {pattern.keyword for pattern in patterns if pattern.match is match}


# Answers


def _as_answer(source: AutoReply | Button) -> RuleReply:
    if isinstance(source, Button):
        return RuleReply(source.type, source.value, source.news_info)
    return RuleReply(source.type, source.content)


def _answers(
    replies: Iterable[RuleReply], trigger: TriggerKind, files: Files, notes: list[Note]
) -> Iterator[PreparedAnswer]:
    for reply in replies:
        answer = _answer(reply, files, notes)
        if answer is None:
            continue
        if isinstance(answer, NewsAnswer) and len(answer.articles) > 1 and trigger in _MESSAGES:
            notes.append(Note(NoteCode.ONE_ARTICLE))
        if problems := list(answer.problems()):
            notes.append(Note(NoteCode.INVALID, "; ".join(map(str, problems))))
        else:
            yield answer


def _answer(reply: RuleReply, files: Files, notes: list[Note]) -> PreparedAnswer | None:
    if reply.type in FILE_KINDS:
        found = files.get(reply.content, "")
        if isinstance(found, int):
            return _FILE_ANSWERS[FILE_KINDS[reply.type]](found)
        notes.append(Note(NoteCode.CHOOSE_AGAIN, found))
        return None
    if reply.type == "news":
        articles = tuple(_articles(reply.news_info, notes))
        return NewsAnswer(articles) if articles else None
    if reply.type != "text":
        notes.append(Note(NoteCode.ANSWER_KIND, reply.type))
        return None
    if variables_in(reply.content):
        notes.append(Note(NoteCode.VARIABLE))
        return TextAnswer(re.sub(r"\{(?=\{)", "{ ", reply.content))
    return TextAnswer(reply.content) if reply.content.strip() else None


def _articles(found: Sequence[NewsInfo], notes: list[Note]) -> Iterator[PreparedArticle]:
    for number, news in enumerate(found):
        article = PreparedArticle(news.title[:MAX_TITLE], news.content_url, news.digest, news.cover_url)
        if len(news.title) > MAX_TITLE:
            notes.append(Note(NoteCode.TITLE_CUT, news.title))
        if number >= MAX_ARTICLES or any(article.problems()):
            notes.append(Note(NoteCode.ARTICLE, news.title or news.content_url))
        else:
            yield article


# The menu


def _leaves(buttons: Iterable[Button], path: str = "") -> Iterator[tuple[str, Button]]:
    """Yield the buttons that do something, with the names above and of them."""
    for button in buttons:
        name = f"{path}{button.name}"
        if button.sub_button:
            yield from _leaves(button.sub_button, f"{name} › ")
        else:
            yield name, button


def _convert_menu(
    menu: CurrentMenu, files: Files, answered: Collection[str]
) -> tuple[tuple[Button, ...], list[Item]]:
    """Return the menu with the keys of its rules, and the items of its buttons."""
    used = {button.key for _, button in _leaves(menu.button)}
    keys = (key for key in (f"{KEY_PREFIX}{n}" for n in count(1)) if key not in used)
    items: list[Item] = []

    def converted(button: Button, path: str) -> Button:
        name = f"{path}{button.name}"
        if button.sub_button:
            below = tuple(converted(each, f"{name} › ") for each in button.sub_button)
            return replace(button, sub_button=below)
        key = next(keys) if button.type in _WITH_RULES else ""
        items.append(item := _button_item(button, name, key, files, answered))
        return Button(button.name, "click", key=key) if item.rule else button

    return tuple(converted(button, "") for button in menu.button), items


def _button_item(button: Button, name: str, key: str, files: Files, answered: Collection[str]) -> Item:
    if key:
        trigger = Trigger(TriggerKind.MENU, keys=(key,))
        return _item(Source.MENU, name, trigger, [_as_answer(button)], files)
    if button.type == "click" and button.key not in answered:
        return Item(Source.MENU, name, Outcome.CHANGED, (Note(NoteCode.KEY_UNANSWERED, button.key),))
    if button.type == "click" or button.type in _PUBLISHABLE:
        return Item(Source.MENU, name, Outcome.TAKEN)
    return Item(Source.MENU, name, Outcome.IMPOSSIBLE, (Note(NoteCode.BUTTON_KIND, button.type),))
