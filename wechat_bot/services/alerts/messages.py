"""What alerts say. The texts are in the language of the channel; call these inside an application context."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from flask_babel import force_locale, format_timedelta, lazy_gettext
from flask_babel import gettext as _

from ...models import Occasion
from ...pseudonyms import pseudonym
from .definitions import Channel
from .digest import Digest
from .troubles import Traffic

MAX_LINES = 5
"""Upper limit of the followers that one message names; the others are counted."""
MAX_NAME = 20
MAX_WORDS = 60
"""Upper limits of the characters of a name, and of what its follower wrote."""


@dataclass(frozen=True)
class Line:
    text: str
    url: str = ""
    """The page of the console that the line is about; empty where the program does not know its address."""


@dataclass(frozen=True)
class Message:
    """A message to a channel. No text has a line break."""

    title: str
    lines: tuple[Line, ...]
    data: dict[str, Any] = field(default_factory=dict)
    """The same for programs, as a JSON object."""

    @property
    def text(self) -> str:
        """The lines with their addresses, each on a line of its own."""
        return "\n".join(part for line in self.lines for part in (line.text, line.url) if part)


@dataclass(frozen=True)
class Waiting:
    """A follower who waits for a person, and of what the channel has not been told."""

    follower_id: int
    openid: str
    alias: str
    since: datetime
    words: str
    """What the follower wrote last; empty for a message without text."""
    occasions: tuple[Occasion, ...]


def compose(channel: Channel, found: Sequence[Waiting], now: datetime, public_url: str) -> Message:
    """Return the message that tells `channel` of `found`, those who have waited longest first."""
    late = sum(Occasion.UNANSWERED in each.occasions for each in found)
    with force_locale(channel.language):
        title = _("公众号：%(count)s 位粉丝在等人工", count=len(found))
        if late:
            title += _("，其中 %(late)s 位等了 %(minutes)s 分钟以上", late=late, minutes=channel.minutes)
        lines = [_line(channel, each, now, public_url) for each in found[:MAX_LINES]]
        if len(found) > MAX_LINES:
            rest = _("还有 %(count)s 位", count=len(found) - MAX_LINES)
            lines.append(Line(rest, _address(public_url, "")))
    data = {"waiting": [_as_json(channel, each, now, public_url) for each in found]}
    return Message(title, tuple(lines), data)


def compose_troubles(
    channel: Channel,
    traffic: Traffic,
    before: Collection[Occasion],
    present: Collection[Occasion],
    public_url: str,
) -> Message:
    """Return the message that tells `channel` of the troubles with pushes that have begun or are over."""
    begun = [each for each in present if each not in before]
    over = [each for each in before if each not in present]
    with force_locale(channel.language):
        title = _("公众号：推送有问题") if begun else _("公众号：推送恢复正常")
        said = [*(_begun(each, traffic) for each in begun), *(str(_OVER[each]) for each in over)]
        url = f"{public_url.rstrip('/')}/admin/health" if public_url else ""
        lines = [*map(Line, said[:-1]), Line(said[-1], url)]
    figures = {
        "pushes": traffic.pushes,
        "failed": traffic.failed,
        "slow": traffic.slow,
        "silent_seconds": int(traffic.silence.total_seconds()),
        "expected": round(traffic.expected),
    }
    states = {"begun": [str(each) for each in begun], "over": [str(each) for each in over]}
    return Message(title, tuple(lines), {"troubles": states | figures})


_OVER = {
    Occasion.STOPPED: lazy_gettext("又有推送了"),
    Occasion.FAILING: lazy_gettext("推送又处理得好了"),
    Occasion.LATE: lazy_gettext("回应又及时了"),
}


def _begun(trouble: Occasion, traffic: Traffic) -> str:
    said = {
        Occasion.STOPPED: _(
            "%(time)s没有收到推送，平时这段时间有 %(usual)s 次左右",
            time=format_timedelta(traffic.silence, granularity="minute"),
            usual=round(traffic.expected),
        ),
        Occasion.FAILING: _(
            "最近 10 分钟的 %(pushes)s 次推送，有 %(failed)s 次没有处理好",
            pushes=traffic.pushes,
            failed=traffic.failed,
        ),
        Occasion.LATE: _(
            "最近 10 分钟的 %(pushes)s 次推送，有 %(slow)s 次过了 4 秒才回应",
            pushes=traffic.pushes,
            slow=traffic.slow,
        ),
    }
    return str(said[trouble])


def compose_digest(channel: Channel, digest: Digest) -> Message:
    """Return the message that tells `channel` of a week."""
    days = {"first_day": digest.first_day.isoformat(), "last_day": digest.last_day.isoformat()}
    counts = {"handovers": digest.handovers, "answered": len(digest.first_responses)}
    with force_locale(channel.language):
        title = _("公众号：一周小结（%(first_day)s 到 %(last_day)s）", **days)
        lines = [
            Line(_("%(count)s 位粉丝来过消息", count=digest.followers)),
            Line(_("转人工 %(handovers)s 次，其中 %(answered)s 次有人回复", **counts)),
        ]
        if digest.median is not None:
            time = format_timedelta(max(digest.median, timedelta(minutes=1)), granularity="minute")
            lines.append(Line(_("第一次回复的中位数：%(time)s", time=time)))
    seconds = digest.median and int(digest.median.total_seconds())
    data = {**days, "followers": digest.followers, **counts, "median_seconds": seconds}
    return Message(title, tuple(lines), {"digest": data})


def compose_test(channel: Channel, public_url: str) -> Message:
    """Return the message that shows that a channel works."""
    with force_locale(channel.language):
        line = Line(_("这是一条测试：有粉丝等人工时，会在这里提醒。"), _address(public_url, ""))
        return Message(_("公众号：测试提醒"), (line,), {"test": True})


def _line(channel: Channel, each: Waiting, now: datetime, public_url: str) -> Line:
    name, waited = _cut(_name(each), MAX_NAME), now - each.since
    if waited < timedelta(minutes=1):
        text = _("%(name)s 刚开始等", name=name)
    else:
        time = format_timedelta(waited, granularity="minute")
        text = _("%(name)s 等了 %(time)s", name=name, time=time)
    if channel.shows_words and each.words:
        text += _("：%(words)s", words=_cut(each.words, MAX_WORDS))
    return Line(text, _address(public_url, f"/{each.follower_id}"))


def _as_json(channel: Channel, each: Waiting, now: datetime, public_url: str) -> dict[str, Any]:
    found = {
        "follower": _name(each),
        "occasions": [str(occasion) for occasion in each.occasions],
        "since": each.since.isoformat(timespec="seconds"),
        "seconds": int((now - each.since).total_seconds()),
        "url": _address(public_url, f"/{each.follower_id}"),
    }
    return found | ({"words": each.words} if channel.shows_words else {})


def _name(each: Waiting) -> str:
    return each.alias or pseudonym(each.openid)


def _address(public_url: str, path: str) -> str:
    return f"{public_url.rstrip('/')}/admin/conversations{path}" if public_url else ""


def _cut(text: str, limit: int) -> str:
    """Return a text as one line of at most `limit` characters."""
    line = " ".join(text[: 4 * limit].split())
    return line if len(line) <= limit else f"{line[: limit - 1]}…"
