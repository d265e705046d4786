"""Whether every step of the set-up is done, and what is wrong where it is not."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import httpx2
from sqlalchemy import Engine, Row, text
from sqlalchemy.exc import SQLAlchemyError

from ...models import CallbackOutcome, MessageState
from ...settings import AccountSettings, Settings
from ...wechat.api import Call, Transport, WeChatClient, network
from ...wechat.api.system import CallbackCheck
from ...wechat.credentials import Mode
from ...wechat.errcodes import explain
from ...wechat.errors import APIError, Refusal, Unreachable
from ...wechat.webhook import MAX_SKEW
from ..accounts.capabilities import Capabilities, PermissionReason
from . import findings, status
from .call_stats import NO_ANSWER, VERIFIED
from .findings import STEPS, WRONG, Check, Health, ok, unknown
from .status import Snapshot

STABLE_TOKEN = "/cgi-bin/stable_token"
LATE_MS = 5000
LOW_SPACE = 1 << 30
SKEW_SECONDS = 30
COUNT_SECONDS = 60
"""So long `Doctor.problems` remembers what it counted."""


@dataclass(frozen=True)
class RequestOrigin:
    """How the page was reached that shows the diagnosis."""

    secure: bool
    local: bool
    """By this machine alone."""
    forwarded: bool
    """A reverse proxy has left its mark."""


@dataclass(frozen=True)
class Diagnosis:
    """Every check, and what the database told; None where it told nothing."""

    checks: Sequence[Check]
    facts: Snapshot | None

    @property
    def failed(self) -> int:
        return sum(check.state is Health.FAIL for check in self.checks)

    @property
    def headline(self) -> Check:
        """The first step that failed, or how it goes with the platform's requests."""
        failed = [check for check in self.checks if check.state is Health.FAIL]
        urls = [check for check in self.checks if check.finding.step == "url"]
        return (failed + urls)[0]


class Doctor:
    """Examines one account and what it runs on. Thread-safe.

    `folder` holds what the program keeps beside its database. `observe` is told of calls of the API.
    """

    def __init__(
        self,
        settings: Settings,
        account: AccountSettings,
        account_id: Callable[[], int],
        engine: Engine,
        migrations: str,
        folder: Path,
        capabilities: Capabilities,
        transport: Transport | None = None,
        observe: Callable[[Call], None] | None = None,
    ) -> None:
        self._settings = settings
        self._account = account
        self._find_account_id = account_id
        self._engine = engine
        self._migrations = migrations
        self._folder = folder
        self._capabilities = capabilities
        self._transport = transport
        self._observe = observe
        self._counted = 0
        self._counted_until = 0.0

    def diagnose(self, *, online: bool = False, visit: RequestOrigin | None = None) -> Diagnosis:
        """Every step, in the order in which one sets it up; `online`: also by asking the platform."""
        checks = [
            Check(findings.SETTINGS_KNOWN if self._settings.secrets_are_known else ok("settings")),
            self._check_database(),
            *self._check_redis(),
            *self._check_disk(),
            *(_check_visit(visit, self._settings) if visit else ()),
        ]
        facts = None
        with suppress(SQLAlchemyError):  # `_check_database` tells
            account_id = self._find_account_id()
            facts = status.snapshot(self._engine, account_id)
            checks += _check_callback(facts, self._account.credentials.mode)
            checks += [_check_workers(facts), _check_queue(facts), self._check_capabilities(account_id)]
        if self._account.api_is_simulated:
            checks.append(Check(findings.API_PLAYED))
        elif not self._account.has_api:
            checks.append(Check(findings.SECRET_MISSING))
        elif online:
            checks += self._ask_platform()
        elif facts:
            checks.append(_check_secret(facts))
        latest = {check.finding.step: check for check in checks}
        return Diagnosis([latest[step] for step in STEPS if step in latest], facts)

    def problems(self) -> int:
        """How many steps have failed; counted once a minute, without the network."""
        if time.monotonic() >= self._counted_until:
            self._counted = self.diagnose().failed
            self._counted_until = time.monotonic() + COUNT_SECONDS
        return self._counted

    # What needs no history

    def _check_database(self) -> Check:
        trouble = status.check_database(self._engine, self._migrations)
        if trouble == "not migrated":
            return Check(findings.DATABASE_NOT_MIGRATED)
        if trouble != "ok":
            return Check(findings.DATABASE_TROUBLE, {"trouble": trouble})
        if self._engine.dialect.name in {"mysql", "mariadb"} and (charset := self._charset()) != "utf8mb4":
            database = self._engine.url.database or ""
            return Check(findings.DATABASE_CHARSET, {"charset": charset, "database": database})
        return Check(ok("database"))

    def _charset(self) -> str:
        with self._engine.connect() as connection:
            return str(connection.scalar(text("SELECT @@character_set_database")))

    def _check_redis(self) -> Iterator[Check]:
        if not self._settings.redis_url:
            return
        try:
            from redis import Redis, RedisError
        except ImportError:
            yield Check(findings.REDIS_EXTRA)
            return
        try:
            with Redis.from_url(
                self._settings.redis_url, socket_connect_timeout=1, socket_timeout=1
            ) as redis:
                redis.ping()
        except RedisError as error:
            yield Check(findings.REDIS_AWAY, {"trouble": type(error).__name__})
        else:
            yield Check(ok("redis"))

    def _check_disk(self) -> Iterator[Check]:
        is_file = self._engine.dialect.name == "sqlite"
        path = Path(self._engine.url.database or "") if is_file else self._folder
        free = status.free_space(path)
        finding = findings.DISK_LOW if free < LOW_SPACE else findings.DISK_FINE
        yield Check(finding, {"free": f"{free / (1 << 30):.1f} GB"})
        media = self._folder / (self._settings.media_url or "media")
        if media.exists() and not os.access(media, os.W_OK):
            yield Check(findings.MEDIA_READ_ONLY, {"folder": str(media)})

    def _check_capabilities(self, account_id: int) -> Check:
        known = self._capabilities.all(account_id)
        refused = [
            feature
            for feature, permission in known.items()
            if permission.reason is PermissionReason.LEARNED and not permission.allowed
        ]
        if not refused:
            return Check(ok("capabilities"))
        return Check(findings.CAPABILITIES_REFUSED, {"features": refused})

    # What the platform says

    def _ask_platform(self) -> Iterator[Check]:
        """Whether a token is to be had, what the platform sees of us, and how our clock goes."""
        transport = _Dated(self._transport or network(self._account.api_proxy))
        client = WeChatClient(
            self._account.credentials, self._account.api_base_url, transport, observe=self._observe
        )
        try:
            client.system.callback_ips()
            yield Check(findings.SECRET_WORKS, {"at": datetime.now(UTC)})
            yield _check_reach(client)
        except Unreachable as error:
            yield Check(findings.SECRET_UNREACHABLE, {"trouble": error.errmsg})
        except APIError as error:
            yield Check(findings.SECRET_REFUSED, _explained(error.errcode, error.errmsg))
        if transport.skew is not None:
            yield _check_clock(transport.skew)


class _Dated(httpx2.BaseTransport):
    """Notices by how many seconds the other side's clock differs from ours."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self.skew: float | None = None

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        response = self._transport.handle_request(request)
        with suppress(KeyError, ValueError):
            self.skew = parsedate_to_datetime(response.headers["Date"]).timestamp() - time.time()
        return response

    def close(self) -> None:
        self._transport.close()


def _check_reach(client: WeChatClient) -> Check:
    """What the platform sees of our host."""
    try:
        seen: CallbackCheck = client.system.check_callback()
    except APIError as error:
        return Check(findings.REACH_REFUSED, _explained(error.errcode, error.errmsg))
    lossy = any(ping.package_loss not in {"", "0%"} for ping in seen.ping)
    addresses = sorted({resolved.ip for resolved in seen.dns} | {ping.ip for ping in seen.ping})
    return Check(findings.REACH_LOSS if lossy else findings.REACH_FINE, {"addresses": addresses})


def _check_clock(skew: float) -> Check:
    if abs(skew) < SKEW_SECONDS:
        return Check(ok("clock"))
    finding = findings.CLOCK_OFF if abs(skew) < MAX_SKEW else findings.CLOCK_FAR_OFF
    return Check(finding, {"seconds": round(skew)})


def _explained(errcode: int, errmsg: str) -> dict[str, Any]:
    explanation = explain(errcode, errmsg)
    return {"errcode": errcode, "meaning": explanation.meaning, "remedy": explanation.remedy}


def _check_callback(facts: Snapshot, mode: Mode) -> Iterator[Check]:
    """Which part of the set-up the last refused request blames, unless a good one came after it."""
    pushes, seen = facts.pushes, facts.requests
    pushed = pushes[0].received_at if pushes else None
    verified = seen[VERIFIED].last_at if VERIFIED in seen else None
    reached = max(filter(None, (pushed, verified)), default=None)
    if pushed:
        yield Check(findings.URL_PUSHING, {"at": pushed})
    elif verified:
        yield Check(findings.URL_VERIFIED, {"at": verified})
    else:
        yield Check(findings.URL_SILENT)
    yield _blame("path", reached, seen, Refusal.WRONG_PATH)
    yield _blame("token", reached, seen, Refusal.BAD_SIGNATURE)
    yield _blame("clock", reached, seen, Refusal.OLD_TIMESTAMP)
    yield _blame("mode", pushed, seen, Refusal.PLAIN_IN_SAFE_MODE, Refusal.ENCRYPTED_WITHOUT_KEY)
    if mode is not Mode.PLAIN:
        yield _blame("key", pushed, seen, Refusal.WRONG_KEY)
        yield _blame("app_id", pushed, seen, Refusal.WRONG_APP_ID)
    yield _blame("message", pushed, seen, Refusal.MALFORMED)
    if pushes:
        yield _check_answers(pushes)


def _blame(step: str, good: datetime | None, seen: Mapping[str, CallbackOutcome], *causes: Refusal) -> Check:
    """The last request since the last `good` one that was refused for one of `causes`."""
    bad = [seen[cause] for cause in causes if cause in seen and (good is None or seen[cause].last_at > good)]
    if not bad:
        return Check(ok(step) if good else unknown(step))
    last = max(bad, key=lambda outcome: outcome.last_at)
    finding = WRONG[Refusal(last.outcome)]
    if finding is findings.TOKEN_WRONG and good:
        finding = findings.TOKEN_DOUBTED  # anybody can send such a request
    return Check(finding, {"at": last.last_at, "times": last.times, "detail": last.detail})


def _check_answers(pushes: Sequence[Row[Any]]) -> Check:
    late = sum(row.attempts > 1 or (row.latency_ms or 0) >= LATE_MS for row in pushes)
    if late:
        return Check(findings.ANSWERS_LATE, {"count": len(pushes), "late": late})
    slowest = max(row.latency_ms or 0 for row in pushes)
    return Check(findings.ANSWERS_IN_TIME, {"count": len(pushes), "slowest": slowest})


def _check_workers(facts: Snapshot) -> Check:
    now = datetime.now(UTC)
    alive = [worker for worker in facts.workers if worker.is_alive(now)]
    if not alive:
        return Check(findings.WORKER_AWAY)
    return Check(findings.WORKER_ALIVE, {"count": len(alive), "at": alive[0].seen_at})


def _check_queue(facts: Snapshot) -> Check:
    outgoing = facts.backlog.outgoing
    failed, unknown = outgoing.get(MessageState.FAILED, 0), outgoing.get(MessageState.UNKNOWN, 0)
    if not (failed or unknown):
        return Check(ok("queue"))
    return Check(findings.QUEUE_FAILED, {"failed": failed, "unknown": unknown})


def _check_secret(facts: Snapshot) -> Check:
    """What the last call for a token tells."""
    asked = [row for row in facts.calls if row.path == STABLE_TOKEN]
    if not asked:
        return Check(findings.SECRET_UNTRIED)
    last = max(asked, key=lambda row: row.last_at)
    if last.errcode == 0:
        return Check(findings.SECRET_WORKS, {"at": last.last_at})
    if last.errcode == NO_ANSWER:
        return Check(findings.SECRET_UNREACHABLE, {"trouble": last.last_message})
    return Check(findings.SECRET_REFUSED, _explained(last.errcode, last.last_message))


def _check_visit(visit: RequestOrigin, settings: Settings) -> Iterator[Check]:
    if visit.forwarded and not settings.trusted_proxies:
        yield Check(findings.HTTPS_UNTRUSTED)
    elif visit.secure:
        yield Check(ok("https"))
    elif not visit.local:
        yield Check(findings.HTTPS_MISSING)
