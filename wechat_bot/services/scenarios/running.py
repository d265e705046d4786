"""Plays the scenarios of an account with its saved rules or with edited ones, and makes some from the log."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import tzinfo
from typing import Any

from sqlalchemy import Connection, Engine, Row, delete, insert, select

from ...database.clock import database_now
from ...database.transactions import retry_conflicts
from ...models import Channel, Direction, FollowerTag, MessageLog, MessageState, ScenarioResult, Tag
from ...routing import Router
from ...routing.definitions import Rule
from ...routing.rules import RuleSet
from ...settings import AccountSettings
from ...simulator.scenarios import Expectation, Scenario, Step, step_from_push
from ...wechat import replies
from ...wechat.replies import Reply
from ..accounts import locked_account
from ..audit import Actor
from ..inbox.handling import HandlerRunner
from ..messages.records import reply_key
from ..rules.rule_book import RuleBook
from .playing import Stage
from .reading import Results, ScenarioEntry, load, stored

MAX_SECONDS = 10.0
"""Seconds after which no other step is played."""
MAX_RECORDED = 20
"""Pushes of the log that become a scenario at most."""
_LINK = re.compile(r'\n<a href="weixin://bizmsgmenu\?[^"]*msgmenuid=late-')
"""The beginning of a link that fetches another page, which is another one each time."""


@dataclass(frozen=True)
class Played(Results):
    """A scenario that was played."""

    entry: ScenarioEntry


class Scenarios:
    """Plays the scenarios of an account."""

    def __init__(
        self, engine: Engine, account: AccountSettings, router: Router, rules: RuleBook, runner: HandlerRunner
    ) -> None:
        self._engine = engine
        self._account = account
        self._router = router
        self._rules = rules
        self._runner = runner

    def run(self, actor: Actor, account_id: int) -> list[Played]:
        """Play all scenarios with the saved rules, and store the results."""
        version, rules = self._saved(account_id)
        with self._engine.connect() as connection:
            entries = load(connection, account_id)
        played = self._play(entries, rules)
        self._store(actor, account_id, version, played)
        return played

    def try_out(
        self, account_id: int, edited: Callable[[Mapping[int, Rule]], Mapping[int, Rule]]
    ) -> list[tuple[Played, Played]]:
        """Play all scenarios with the saved rules, and with those that `edited` makes of them."""
        _version, rules = self._saved(account_id)
        with self._engine.connect() as connection:
            entries = load(connection, account_id)
        others = self._rule_set(edited(rules.rules))
        return list(zip(self._play(entries, rules), self._play(entries, others), strict=True))

    def recorded(self, account_id: int, message_id: int, count: int) -> Scenario | None:
        """Return what a follower did until a message of the log, at most `count` pushes, with the answers.

        It has the times, and the tags that the follower has now, only if the rules answer otherwise without
        them. None if there is no such message of a follower.
        """
        with self._engine.connect() as connection:
            steps, tags = _read_log(connection, account_id, message_id, count, self._account.time_zone)
        if not steps:
            return None
        plain = Scenario("", tuple(replace(step, at=None) for step in steps))
        _version, rules = self._saved(account_id)
        now, until = database_now(), time.monotonic() + MAX_SECONDS
        found = Results(tuple(self._stage(rules).play(plain, now, until)))
        return plain if not found.failed else Scenario("", tuple(steps), tags)

    def _saved(self, account_id: int) -> tuple[int, RuleSet]:
        """Return the saved rules, which are those of the version that is returned, or newer."""
        version, rules = self._rules.latest(account_id)
        return version, self._rule_set(rules.rules)

    def _rule_set(self, rules: Mapping[int, Rule]) -> RuleSet:
        """Return rules that need no copies of files on the platform."""
        return RuleSet(rules, self._account.time_zone, str)

    def _stage(self, rules: RuleSet) -> Stage:
        return Stage(self._account, self._router, rules, self._runner)

    def _play(self, entries: Sequence[ScenarioEntry], rules: RuleSet) -> list[Played]:
        stage, now, until = self._stage(rules), database_now(), time.monotonic() + MAX_SECONDS
        return [Played(tuple(stage.play(entry.scenario, now, until)), entry) for entry in entries]

    @retry_conflicts
    def _store(self, actor: Actor, account_id: int, rules_version: int, played: Sequence[Played]) -> None:
        """Store the results of the scenarios that are still the ones that were played."""
        with locked_account(self._engine, account_id) as connection:
            current = {entry.id: entry.version for entry in load(connection, account_id)}
            rows = [
                {
                    "scenario_id": each.entry.id,
                    "rules_version": rules_version,
                    "at": database_now(),
                    "operator": actor.name[:64],
                    "steps": list(map(stored, each.steps)),
                }
                for each in played
                if current.get(each.entry.id) == each.entry.version
            ]
            if rows:
                ids = [row["scenario_id"] for row in rows]
                connection.execute(delete(ScenarioResult).where(ScenarioResult.scenario_id.in_(ids)))
                connection.execute(insert(ScenarioResult), rows)


def _read_log(
    connection: Connection, account_id: int, message_id: int, count: int, zone: tzinfo
) -> tuple[list[Step], tuple[str, ...]]:
    """Return the newest pushes of a follower until a message, as steps, and the tags of the follower."""
    incoming = MessageLog.account_id == account_id, MessageLog.direction == Direction.IN
    this = select(MessageLog.follower_id).where(*incoming, MessageLog.id == message_id)
    follower_id = connection.scalar(this)
    if follower_id is None:
        return [], ()
    columns = MessageLog.id, MessageLog.payload, MessageLog.received_at, MessageLog.dedup_key
    of_follower = MessageLog.follower_id == follower_id, MessageLog.id <= message_id
    newest = select(*columns).where(*incoming, *of_follower).order_by(MessageLog.id.desc())
    rows = connection.execute(newest.limit(count)).all()[::-1]
    shown = MessageLog.dedup_key.in_([reply_key(row.dedup_key) for row in rows])
    given = select(MessageLog.dedup_key, MessageLog.payload).where(
        shown, MessageLog.state == MessageState.SENT, MessageLog.channel == Channel.REPLY
    )
    answers = {row.dedup_key: replies.parse(row.payload) for row in connection.execute(given)}
    tagged = select(Tag.name).join(FollowerTag, FollowerTag.tag_id == Tag.id)
    tags = connection.scalars(tagged.where(FollowerTag.follower_id == follower_id).order_by(Tag.name))
    return [_step(row, answers.get(reply_key(row.dedup_key)), zone) for row in rows], tuple(tags)


def _step(row: Row[Any], answer: Reply | None, zone: tzinfo) -> Step:
    step = step_from_push(row.payload, answer)
    if answer and (link := _LINK.search(answer.text_for_search)):
        step = replace(step, expected=Expectation("contains", answer.text_for_search[: link.start()]))
    return replace(step, at=row.received_at.astimezone(zone).replace(tzinfo=None, second=0, microsecond=0))
