"""How often each rule answered on each day, by the origins of the messages."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, tzinfo
from typing import Any

from sqlalchemy import Connection, Row, bindparam, insert, select, update

from ...models import Direction, RuleHits
from ...routing.rules import rule_of


def update_rule_hits(connection: Connection, messages: Iterable[Row[Any]], zone: tzinfo) -> None:
    """Count new messages that rules answered; days are those of `zone`."""
    counted: dict[tuple[int, date], dict[str, Any]] = {}
    for message in messages:
        rule_id = rule_of(message.origin) if message.direction == Direction.IN else None
        if rule_id is not None:
            at = message.received_at
            day = at.astimezone(zone).date()
            new = {"rule_id": rule_id, "day": day, "hits": 0, "last_at": at}
            found = counted.setdefault((rule_id, day), new)
            found.update(hits=found["hits"] + 1, last_at=max(found["last_at"], at))
    if not counted:
        return
    rule_ids, days = {key[0] for key in counted}, {key[1] for key in counted}
    existing = _EXISTING.where(RuleHits.rule_id.in_(rule_ids), RuleHits.day.in_(days))
    more = []
    for rule_id, day, last_at in connection.execute(existing):
        if (rule_id, day) in counted:
            found = counted.pop((rule_id, day))
            last = max(found["last_at"], last_at)
            more.append({"rule": rule_id, "on": day, "more": found["hits"], "at": last})
    if more:
        connection.execute(_ADD, more)
    if counted:
        connection.execute(insert(RuleHits), list(counted.values()))


_EXISTING = select(RuleHits.rule_id, RuleHits.day, RuleHits.last_at)
_ADD = (
    update(RuleHits)
    .where(RuleHits.rule_id == bindparam("rule"), RuleHits.day == bindparam("on"))
    .values(hits=RuleHits.hits + bindparam("more"), last_at=bindparam("at"))
)
