"""The doctor: checks every step of the set-up, for the health page and ``flask wechat doctor``."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import httpx2
from sqlalchemy import Engine, func, select, text
from sqlalchemy.exc import SQLAlchemyError

from ...database.clock import database_now
from ...models import AlertChannel, CallbackOutcome, Change, MessageState, RuleVersion, StoredRule
from ...settings import MIN_TOKEN_LENGTH, AccountSettings, Environment, Settings
from ...wechat.api import Call, Transport, WeChatClient, network
from ...wechat.api.menu import Button
from ...wechat.api.system import AutoReplies, CallbackCheck
from ...wechat.credentials import Mode
from ...wechat.errcodes import explain
from ...wechat.errors import APIError, Unreachable
from ...wechat.webhook import MAX_SKEW
from ..accounts.capabilities import Capabilities, PermissionReason
from . import findings, status
from .call_stats import NO_ANSWER, PROGRAM_FAULT, VERIFIED
from .checks import STEPS, Check, Health
from .findings import FINDINGS_BY_REFUSAL, ok, unknown
from .status import SlowHandlers, Snapshot

STABLE_TOKEN = "/cgi-bin/stable_token"
LATE_MS = 5000
"""Milliseconds after which the platform no longer accepts a passive reply."""
MIN_FREE_SPACE = 1 << 30
"""Bytes of free disk space below which a warning is given."""
MAX_UNNOTICED_SKEW = 30
"""Seconds of difference between the clocks that are no finding."""
FAULT_FAIL_PERIOD = timedelta(days=1)
"""Time after a fault of the program during which the check fails."""
FAULT_WARN_PERIOD = timedelta(days=7)
"""Time after a fault of the program during which the check gives at least a warning."""
BUDGET_ALARM_PERCENT = 80
"""Percentage of the assistant's daily budget at which operators are told."""
CROWDED_PERCENT = 70
"""Percentage of the places for slow handlers, or for waiting messages, at which a warning is given."""
MAX_QUEUE_SECONDS = 60
"""Seconds in the queue for slow handlers after which a warning is given."""
MAX_BACKUP_AGE = timedelta(days=1, hours=2)
"""Time after a backup at which a warning is given: a day, and what a daily one may be late."""
MAX_ALERT_FAILURE = timedelta(hours=1)
"""Time for which a channel of alerts may fail before a warning is given."""
PROBLEMS_CACHE_SECONDS = 60
"""Seconds for which `Doctor.problems` returns the same count."""
READINESS_CACHE_SECONDS = 2
"""Seconds for which `Doctor.readiness` returns the same state."""


@dataclass(frozen=True)
class RequestOrigin:
    """How the request for the health page arrived."""

    secure: bool
    local: bool
    """The request came from this machine."""
    forwarded: bool
    """A reverse proxy has forwarded the request."""


@dataclass(frozen=True)
class Diagnosis:
    """The results of all checks, and the snapshot they are based on; None if the database cannot be read."""

    checks: Sequence[Check]
    snapshot: Snapshot | None

    @property
    def failed(self) -> int:
        return sum(check.state is Health.FAIL for check in self.checks)

    @property
    def problems(self) -> list[Check]:
        """The checks to which the console calls operators: first those that failed, then other alarms."""
        failed = [check for check in self.checks if check.state is Health.FAIL]
        return failed + [check for check in self.checks if check.finding.alarm]

    @property
    def headline(self) -> Check:
        """The first problem, or else the check of the URL."""
        urls = [check for check in self.checks if check.finding.step == "url"]
        return (self.problems + urls)[0]


@dataclass(eq=False)
class Doctor:
    """Checks one account and its deployment. Thread-safe."""

    settings: Settings
    account: AccountSettings
    account_id: Callable[[], int]
    engine: Engine
    migrations: str
    folder: Path
    """The instance folder, with the files that the program stores beside its database."""
    capabilities: Capabilities
    transport: Transport | None = None
    observe: Callable[[Call], None] | None = None
    """Called after every call of the API."""
    assistant_budget: Callable[[int], float | None] = lambda account_id: None
    """Returns the share of the day's budget that the assistant of an account has used; None if it is off."""
    _problems: int = field(default=0, init=False)
    _problems_expire_at: float = field(default=0.0, init=False)
    _readiness: str = field(default="", init=False)
    _readiness_expires_at: float = field(default=0.0, init=False)
    _readiness_lock: threading.Lock = field(default_factory=threading.Lock, init=False)

    def diagnose(self, *, online: bool = False, origin: RequestOrigin | None = None) -> Diagnosis:
        """Check every step, in the order of `STEPS`.

        :param online: whether to call the API of the platform, too.
        :param origin: how the health page was requested, which is then checked, too.
        """
        checks = [
            self._check_settings(),
            self._check_database(),
            *self._check_redis(),
            *self._check_disk(),
            *(_check_https(origin, self.settings) if origin else ()),
        ]
        snapshot = None
        with suppress(SQLAlchemyError):  # `_check_database` reports it
            account_id = self.account_id()
            snapshot = status.snapshot(self.engine, account_id)
            of_callback = _check_callback(snapshot, self.account.credentials.mode)
            checks += map(self._warn_of_plain_mode, of_callback)
            checks += [_check_program(snapshot), _check_workers(snapshot), _check_queue(snapshot)]
            checks.append(check_slow_handlers(snapshot.slow_handlers))
            checks += [*self._check_assistant(account_id), *self._check_backup()]
            checks += [self._check_capabilities(account_id), self._check_alerts(account_id)]
        if self.account.api_is_simulated:
            checks.append(Check(findings.API_SIMULATED))
        elif not self.account.has_api:
            checks.append(Check(findings.SECRET_MISSING))
        elif online:
            checks += self._check_online()
        elif snapshot:
            checks.append(_check_secret(snapshot))
        by_step = {check.finding.step: check for check in checks}
        return Diagnosis([by_step[step] for step in STEPS if step in by_step], snapshot)

    def problems(self) -> int:
        """Return the number of problems, without calls of the API. It is cached for a minute."""
        if time.monotonic() >= self._problems_expire_at:
            self._problems = len(self.diagnose().problems)
            self._problems_expire_at = time.monotonic() + PROBLEMS_CACHE_SECONDS
        return self._problems

    def readiness(self) -> str:
        """Return one of `status.READY`, or a short reason why the database cannot be used.

        Strangers may ask as often as they like: the database is read once in `READINESS_CACHE_SECONDS`, by
        one thread, and nothing is written.
        """
        with self._readiness_lock:
            if time.monotonic() >= self._readiness_expires_at:
                self._readiness = status.check_schema(self.engine, self.migrations)
                self._readiness_expires_at = time.monotonic() + READINESS_CACHE_SECONDS
            return self._readiness

    # Checks of the deployment

    def _check_settings(self) -> Check:
        if self.settings.secrets_are_known:
            return Check(findings.SETTINGS_KNOWN)
        if self._is_production and self.settings.token_is_weak:
            return Check(findings.SETTINGS_WEAK_TOKEN, {"length": MIN_TOKEN_LENGTH})
        return Check(ok("settings"))

    def _warn_of_plain_mode(self, check: Check) -> Check:
        """Return a warning instead of the check of the mode, if production uses the plain one."""
        is_plain = self._is_production and self.account.credentials.mode is Mode.PLAIN
        if is_plain and check.finding.step == "mode" and check.state is not Health.FAIL:
            return Check(findings.MODE_PLAIN)
        return check

    @property
    def _is_production(self) -> bool:
        return self.settings.app_env is Environment.PRODUCTION

    def _check_database(self) -> Check:
        reason = status.check_database(self.engine, self.migrations)
        if reason == "not migrated":
            return Check(findings.DATABASE_NOT_MIGRATED)
        if reason not in status.READY:
            return Check(findings.DATABASE_TROUBLE, {"trouble": reason})
        wrong = self._wrong_database_setting()
        return wrong or Check(findings.DATABASE_NEWER if reason == status.NEWER else ok("database"))

    def _wrong_database_setting(self) -> Check | None:
        with self.engine.connect() as connection:
            match self.engine.dialect.name:
                case "mysql" | "mariadb":
                    charset = str(connection.scalar(text("SELECT @@character_set_database")))
                    if charset != "utf8mb4":
                        database = self.engine.url.database or ""
                        return Check(findings.DATABASE_CHARSET, {"charset": charset, "database": database})
                case "postgresql":
                    if connection.scalar(select(func.current_setting("autovacuum"))) == "off":
                        return Check(findings.DATABASE_AUTOVACUUM)
        return None

    def _check_redis(self) -> Iterator[Check]:
        if not self.settings.redis_url:
            return
        try:
            from redis import Redis, RedisError
        except ImportError:
            yield Check(findings.REDIS_EXTRA)
            return
        try:
            with Redis.from_url(self.settings.redis_url, socket_connect_timeout=1, socket_timeout=1) as redis:
                redis.ping()
        except RedisError as error:
            yield Check(findings.REDIS_AWAY, {"trouble": type(error).__name__})
        else:
            yield Check(ok("redis"))

    def _check_disk(self) -> Iterator[Check]:
        is_sqlite = self.engine.dialect.name == "sqlite"
        path = Path(self.engine.url.database or "") if is_sqlite else self.folder
        free = status.free_space(path)
        finding = findings.DISK_LOW if free < MIN_FREE_SPACE else findings.DISK_FINE
        yield Check(finding, {"free": f"{free / (1 << 30):.1f} GB"})
        media = self.folder / (self.settings.media_url or "media")
        if media.exists() and not os.access(media, os.W_OK):
            yield Check(findings.MEDIA_READ_ONLY, {"folder": str(media)})

    def _check_backup(self) -> Iterator[Check]:
        """Check the age of the last backup. In development there is nothing to lose."""
        if not self._is_production:
            return
        with self.engine.connect() as connection:
            at = status.last_backup(connection)
        if at is None:
            yield Check(findings.BACKUP_NEVER)
        else:
            is_old = at < database_now() - MAX_BACKUP_AGE
            yield Check(findings.BACKUP_OLD if is_old else findings.BACKUP_TAKEN, {"at": at})

    def _check_assistant(self, account_id: int) -> Iterator[Check]:
        used = self.assistant_budget(account_id)
        if used is None:
            return
        percent = int(100 * used)
        if used >= 1:
            yield Check(findings.ASSISTANT_BUDGET_USED_UP)
        elif percent >= BUDGET_ALARM_PERCENT:
            yield Check(findings.ASSISTANT_BUDGET_LOW, {"percent": percent})
        else:
            yield Check(findings.ASSISTANT_FINE, {"percent": percent})

    def _check_capabilities(self, account_id: int) -> Check:
        refused = [
            feature
            for feature, permission in self.capabilities.all(account_id).items()
            if permission.reason is PermissionReason.LEARNED and not permission.allowed
        ]
        if not refused:
            return Check(ok("capabilities"))
        return Check(findings.CAPABILITIES_REFUSED, {"features": refused})

    def _check_alerts(self, account_id: int) -> Check:
        """Check whether the channels of alerts that are switched on have failed for long."""
        failing = AlertChannel.failing_since <= database_now() - MAX_ALERT_FAILURE
        found = select(AlertChannel.definition).where(AlertChannel.account_id == account_id, failing)
        with self.engine.connect() as connection:
            definitions = connection.scalars(found.order_by(AlertChannel.id)).all()
        names = [each["name"] for each in definitions if each.get("enabled", True)]
        return Check(findings.ALERTS_FAILED, {"names": names}) if names else Check(ok("alerts"))

    # Checks with the platform

    def _check_online(self) -> Iterator[Check]:
        """Check the AppSecret, whether the platform can reach this server, and the clock."""
        transport = _SkewTransport(self.transport or network(self.account.api_proxy))
        client = WeChatClient(
            self.account.credentials, self.account.api_base_url, transport, observe=self.observe
        )
        try:
            client.system.callback_ips()
            yield Check(findings.SECRET_WORKS, {"at": database_now()})
            yield _check_reach(client)
            yield from self._check_import(client)
        except Unreachable as error:
            yield Check(findings.SECRET_UNREACHABLE, {"trouble": error.errmsg})
        except APIError as error:
            yield Check(findings.SECRET_REFUSED, _error_values(error.errcode, error.errmsg))
        if transport.skew is not None:
            yield _check_clock(transport.skew)

    def _check_import(self, client: WeChatClient) -> Iterator[Check]:
        """Find what was set in the platform's console and was never imported."""
        imported = RuleVersion.change == Change.IMPORTED, StoredRule.account_id == self.account_id()
        try:
            with self.engine.connect() as connection:
                if connection.scalar(select(StoredRule.id).join(RuleVersion).where(*imported).limit(1)):
                    return
            replies, buttons = (
                _replies(client.system.auto_replies()),
                _answering(client.menu.current().button),
            )
        except (APIError, SQLAlchemyError):
            return
        if replies or buttons:
            yield Check(findings.IMPORT_WAITS, {"replies": replies, "buttons": buttons})


class _SkewTransport(httpx2.BaseTransport):
    """Measures by how many seconds the server's clock is ahead of this machine's."""

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
    """Check whether the platform can resolve and reach this server."""
    try:
        result: CallbackCheck = client.system.check_callback()
    except APIError as error:
        return Check(findings.REACH_REFUSED, _error_values(error.errcode, error.errmsg))
    lossy = any(ping.package_loss not in {"", "0%"} for ping in result.ping)
    addresses = sorted({resolved.ip for resolved in result.dns} | {ping.ip for ping in result.ping})
    return Check(findings.REACH_LOSS if lossy else findings.REACH_FINE, {"addresses": addresses})


def _replies(found: AutoReplies) -> int:
    """Return the number of automatic replies of the platform's console that are switched on."""
    followed = found.is_add_friend_reply_open and bool(found.add_friend_autoreply_info.type)
    default = found.is_autoreply_open and bool(found.message_default_autoreply_info.type)
    return followed + default + (len(found.keyword_autoreply_info) if found.is_autoreply_open else 0)


def _answering(buttons: Sequence[Button]) -> int:
    """Return the number of buttons of which the platform's console has the answer (section 7.3)."""
    return sum((button.type in _CONSOLE_KINDS) + _answering(button.sub_button) for button in buttons)


_CONSOLE_KINDS = {"text", "img", "photo", "voice", "video", "news"}


def _check_clock(skew: float) -> Check:
    if abs(skew) < MAX_UNNOTICED_SKEW:
        return Check(ok("clock"))
    finding = findings.CLOCK_OFF if abs(skew) < MAX_SKEW else findings.CLOCK_FAR_OFF
    return Check(finding, {"seconds": round(skew)})


def _error_values(errcode: int, errmsg: str) -> dict[str, Any]:
    explanation = explain(errcode, errmsg)
    return {"errcode": errcode, "meaning": explanation.meaning, "remedy": explanation.remedy}


def _check_callback(snapshot: Snapshot, mode: Mode) -> Iterator[Check]:
    """Check each part of the set-up by the last refused request, unless a valid one came after it."""
    pushes, outcomes = snapshot.pushes, snapshot.requests
    pushed = pushes[0].received_at if pushes else None
    verified = outcomes[VERIFIED].last_at if VERIFIED in outcomes else None
    reached = max(filter(None, (pushed, verified)), default=None)
    if pushed:
        yield Check(findings.URL_PUSHING, {"at": pushed})
    elif verified:
        yield Check(findings.URL_VERIFIED, {"at": verified})
    else:
        yield Check(findings.URL_SILENT)
    for step in ("path", "token", "clock"):
        yield _check_refusals(step, reached, outcomes)
    for step in ("mode", "message") if mode is Mode.PLAIN else ("mode", "key", "app_id", "message"):
        yield _check_refusals(step, pushed, outcomes)
    if pushes:
        yield _check_answers(pushes)


def _check_refusals(step: str, valid_at: datetime | None, outcomes: Mapping[str, CallbackOutcome]) -> Check:
    """Return the finding for the last request that this step refused after `valid_at`, when one passed it."""
    refused = [
        (outcomes[cause], finding)
        for cause, finding in FINDINGS_BY_REFUSAL.items()
        if finding.step == step and cause in outcomes
    ]
    if valid_at:
        refused = [(outcome, finding) for outcome, finding in refused if outcome.last_at > valid_at]
    if not refused:
        return Check(ok(step) if valid_at else unknown(step))
    last, finding = max(refused, key=lambda found: found[0].last_at)
    if finding is findings.TOKEN_WRONG and valid_at:
        finding = findings.TOKEN_DOUBTED  # anyone can send such a request
    return Check(finding, {"at": last.last_at, "times": last.times, "detail": last.detail})


def _check_program(snapshot: Snapshot) -> Check:
    """Check whether the handling of a request has raised an unexpected exception recently."""
    fault = snapshot.requests.get(PROGRAM_FAULT)
    age = database_now() - fault.last_at if fault else FAULT_WARN_PERIOD
    if fault is None or age >= FAULT_WARN_PERIOD:
        return Check(ok("program"))
    finding = findings.PROGRAM_FAULT if age < FAULT_FAIL_PERIOD else findings.PROGRAM_FAULT_BEFORE
    return Check(finding, {"at": fault.last_at, "times": fault.times, "detail": fault.detail})


def _check_answers(pushes: Sequence[Any]) -> Check:
    late = sum(row.attempts > 1 or (row.latency_ms or 0) >= LATE_MS for row in pushes)
    if late:
        return Check(findings.ANSWERS_LATE, {"count": len(pushes), "late": late})
    slowest = max(row.latency_ms or 0 for row in pushes)
    return Check(findings.ANSWERS_IN_TIME, {"count": len(pushes), "slowest": slowest})


def check_slow_handlers(found: SlowHandlers) -> Check:
    """Check whether the places for slow handlers, and for messages that wait for them, are sufficient."""
    if found.oldest_queued >= MAX_QUEUE_SECONDS:
        return Check(findings.SLOW_HANDLERS_DELAYED, {"seconds": round(found.oldest_queued)})
    if is_crowded(found.running, found.max_running):
        return Check(findings.SLOW_HANDLERS_BUSY, {"running": found.running, "limit": found.max_running})
    fullest = found.fullest
    if fullest and is_crowded(fullest.waiting, fullest.max_waiting):
        values = {"waiting": fullest.waiting, "limit": fullest.max_waiting}
        return Check(findings.SLOW_HANDLERS_AWAITED, values)
    return Check(findings.SLOW_HANDLERS_FINE, {"running": found.running, "queued": found.queued})


def is_crowded(used: int, places: int) -> bool:
    """Whether so many places are taken that operators should provide more."""
    return places > 0 and 100 * used >= CROWDED_PERCENT * places


def _check_workers(snapshot: Snapshot) -> Check:
    alive = list(filter(status.is_alive, snapshot.workers))
    if not alive:
        return Check(findings.WORKER_AWAY)
    return Check(findings.WORKER_ALIVE, {"count": len(alive), "at": alive[0].seen_at})


def _check_queue(snapshot: Snapshot) -> Check:
    outgoing = snapshot.backlog.outgoing
    failed, unknown = outgoing.get(MessageState.FAILED, 0), outgoing.get(MessageState.UNKNOWN, 0)
    if not (failed or unknown):
        return Check(ok("queue"))
    return Check(findings.QUEUE_FAILED, {"failed": failed, "unknown": unknown})


def _check_secret(snapshot: Snapshot) -> Check:
    """Check the AppSecret by the last call for an access token."""
    token_calls = [row for row in snapshot.calls if row.path == STABLE_TOKEN]
    if not token_calls:
        return Check(findings.SECRET_UNTRIED)
    last = max(token_calls, key=lambda row: row.last_at)
    if last.errcode == 0:
        return Check(findings.SECRET_WORKS, {"at": last.last_at})
    if last.errcode == NO_ANSWER:
        return Check(findings.SECRET_UNREACHABLE, {"trouble": last.last_message})
    return Check(findings.SECRET_REFUSED, _error_values(last.errcode, last.last_message))


def _check_https(origin: RequestOrigin, settings: Settings) -> Iterator[Check]:
    if origin.forwarded and not settings.trusted_proxies:
        yield Check(findings.HTTPS_UNTRUSTED)
    elif origin.secure:
        yield Check(ok("https"))
    elif not origin.local:
        yield Check(findings.HTTPS_MISSING)
