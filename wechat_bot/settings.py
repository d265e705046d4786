"""The settings: names, types, defaults, descriptions and validation."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from importlib.util import find_spec
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from .terminal import gettext as _
from .wechat.account_kinds import AccountKind
from .wechat.credentials import Credentials, Mode
from .wechat.errors import CredentialsError


class SettingsError(Exception):
    """Settings are invalid. `problems` has one sentence with a remedy for each problem."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class Environment(StrEnum):
    DEVELOPMENT = "development"
    PRODUCTION = "production"


class Synchronous(StrEnum):
    FULL = "FULL"
    NORMAL = "NORMAL"


class LogFormat(StrEnum):
    TEXT = "text"
    JSON = "json"


class LogLevel(StrEnum):
    DEBUG = "DEBUG"
    INFO = "INFO"
    WARNING = "WARNING"
    ERROR = "ERROR"


class Switch(StrEnum):
    AUTO = "auto"
    YES = "yes"
    NO = "no"


IN_MEMORY = "memory:"
"""The JOB_QUEUE_URL of a queue within the process, for tests."""

MIN_TOKEN_LENGTH = 12
"""Shorter Tokens can be found by trying, from the signature of one request."""
DEVELOPMENT_SECRET = "development"
"""The default of SECRET_KEY and WECHAT_TOKEN in development."""

_MINIMUMS = {
    "trusted_proxies": 0,
    "web_workers": 1,
    "web_threads": 4,
    "database_connections": 1,
    "wechat_slow_handlers": 1,
    "wechat_session_ttl": 1,
    "media_max_bytes": 1,
}


def _setting(default: Any, description: str, *, secret: bool = False) -> Any:
    return field(default=default, metadata={"description": description}, repr=not secret)


def _secret(description: str) -> Any:
    return _setting("", description, secret=True)


@dataclass(frozen=True, kw_only=True)
class AccountSettings:
    """The settings of one account, from which `wechat_bot.wiring` builds its services."""

    credentials: Credentials
    kind: AccountKind
    customer_service: Switch
    api_base_url: str
    api_is_simulated: bool
    api_proxy: str
    answer_seconds: float
    session_ttl: int
    """In seconds."""
    time_zone: ZoneInfo
    apology: str
    shows_errors: bool
    """Whether followers read the error of a handler that fails, where there is no apology."""
    thinking: str
    slow_handlers: int
    waiting_messages: int
    """The number of messages for whose answers the pushes may wait in one process at once."""

    @property
    def app_id(self) -> str:
        return self.credentials.app_id

    @property
    def has_api(self) -> bool:
        """Whether AppID and AppSecret are set, which the API requires."""
        return bool(self.credentials.app_id and self.credentials.app_secret)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The settings of the application, validated when they are created.

    In development SECRET_KEY and WECHAT_TOKEN default to "development", which production refuses.

    :raises SettingsError: with all problems at once.
    """

    app_env: Environment = _setting(
        Environment.DEVELOPMENT, "development or production. Production refuses well-known secrets."
    )
    secret_key: str = _secret(
        "Signs cookies and seals second factors: at least 16 characters, preferably 64 random hex digits."
        " After a change, operators sign in again, and those with a second factor need a recovery code."
    )
    secret_key_previous: str = _secret(
        "The previous SECRET_KEY, with which cookies and second factors from its time remain valid."
    )
    trusted_proxies: int = _setting(0, "The number of reverse proxies in front of the program.")
    log_level: LogLevel = _setting(
        LogLevel.INFO, "DEBUG, INFO, WARNING or ERROR. Only DEBUG logs the content of messages."
    )
    log_format: LogFormat = _setting(LogFormat.TEXT, "text or json (one JSON object per line).")
    instance_path: str = _setting(
        "",
        "The folder of the SQLite database, the job queue, media and the simulator's data. Empty: instance.",
    )
    console_enabled: Switch = _setting(Switch.YES, "Whether the console at /admin is available: yes or no.")
    admin_second_factor: Switch = _setting(
        Switch.NO, "Whether admins must have a second factor to use the console: yes or no."
    )
    demos_enabled: Switch = _setting(
        Switch.AUTO,
        "Whether the public Flask tutorial at /demo is available: auto (in development only), yes or no.",
    )
    simulator_enabled: Switch = _setting(
        Switch.AUTO,
        "Whether the simulator at /simulator is available: auto (in development only), yes or no. It requires"
        " an operator's sign-in if other machines can reach it, and an admin's in production.",
    )
    metrics_enabled: Switch = _setting(
        Switch.NO, "Whether metrics for Prometheus are available at /metrics: yes or no."
    )
    metrics_token: str = _secret("The bearer token required to read /metrics from other machines.")

    host: str = _setting("127.0.0.1", "The address to listen on.")
    port: int = _setting(5000, "The port to listen on.")
    web_workers: int = _setting(2, "The number of processes that answer requests.")
    web_threads: int = _setting(
        2048,
        "The number of requests that one process handles at once. Up to three quarters of them may wait for"
        " slow answers; each costs about 0.1 MB while it waits, and nothing otherwise.",
    )

    database_url: str = _secret(
        "sqlite:///…, postgres://… or mysql://…. Empty: the SQLite file instance/wechat_bot.db."
    )
    database_connections: int = _setting(
        4,
        "The number of connections to the database that a process has for pages, as many again for services,"
        " and as many for what pushes read.",
    )
    sqlite_synchronous: Synchronous = _setting(
        Synchronous.FULL,
        "SQLite only. FULL: messages survive a power failure. NORMAL: faster, but the last may be lost.",
    )
    redis_url: str = _secret("redis://…, the queue of background jobs unless JOB_QUEUE_URL is set.")
    job_queue_url: str = _secret(
        "redis://… or postgres://…, the queue of background jobs. Empty: REDIS_URL or instance/jobs.db."
    )

    wechat_token: str = _secret("The Token entered in the platform's console: 3 to 32 letters and digits.")
    wechat_token_previous: str = _secret("The previous Token, while it is being changed.")
    wechat_app_id: str = _setting("", "The AppID: wx and 16 hex digits. Encrypted modes and the API need it.")
    wechat_app_secret: str = _secret("The AppSecret. The API needs it.")
    wechat_encoding_aes_key: str = _secret("The EncodingAESKey: 43 letters and digits.")
    wechat_encoding_aes_key_previous: str = _secret("The previous EncodingAESKey, while it is being changed.")
    wechat_message_mode: str = _setting(
        "",
        "plain, compatible (accepts plain and encrypted messages) or safe (accepts only encrypted messages)."
        " Empty: safe if there is an EncodingAESKey, otherwise plain.",
    )
    wechat_api_base_url: str = _setting(
        "https://api.weixin.qq.com",
        "The URL of the platform's API, or simulator for the simulated API, with a made-up account.",
    )
    wechat_account_kind: AccountKind = _setting(
        AccountKind.UNKNOWN,
        "The kind of the account: unverified_subscription, verified_subscription, unverified_service,"
        " verified_service, test, or unknown (features that the platform refuses are remembered).",
    )
    wechat_api_proxy: str = _secret("http://… or https://…, a proxy for calls of the API. Empty: none.")
    wechat_customer_service: Switch = _setting(
        Switch.AUTO,
        "Whether the account may send customer-service messages: auto (if AppSecret is set, until the"
        " platform refuses one), yes or no.",
    )

    wechat_answer_seconds: float = _setting(
        4.5, "Seconds within which a push is answered. The platform waits 5 seconds."
    )
    wechat_session_ttl: int = _setting(
        86400, "Seconds after its last change at which a follower's session with the bot expires."
    )
    wechat_time_zone: str = _setting(
        "Asia/Shanghai", "The account's time zone: that of the hours of rules, and of the days of their hits."
    )
    wechat_apology: str = _setting(
        "", "The reply when a handler fails. Empty: the error in development, no reply in production."
    )
    wechat_thinking: str = _setting(
        "还在思考。稍等片刻，点下面的链接或回复任意内容，即可查看答案。",
        "The reply when an answer takes too long and the follower must fetch it; a link is added.",
    )
    wechat_slow_handlers: int = _setting(
        512, "The number of slow handlers that one process runs at once. More messages are queued."
    )

    public_url: str = _setting(
        "", "The address of this site for links in alerts, such as https://bot.example.com. Empty: no links."
    )
    smtp_url: str = _secret(
        "The mail server of alerts: smtp://user:password@host:587 (with STARTTLS) or smtps://…:465."
        " Empty: no mail."
    )
    mail_from: str = _setting("", "The address from which alerts are mailed.")
    alerts_private_addresses: Switch = _setting(
        Switch.NO,
        "Whether alerts may be sent to private addresses and to this machine: yes or no. Anybody who may set"
        " up alerts can then reach services inside your network.",
    )

    media_url: str = _secret(
        "The storage of images, voices and videos: a folder, or s3://bucket/prefix?endpoint=https://…."
        " Empty: instance/media."
    )
    media_max_bytes: int = _setting(20 << 20, "The maximum size of a stored file, in bytes.")

    def __post_init__(self) -> None:
        if self.app_env is Environment.DEVELOPMENT:
            object.__setattr__(self, "secret_key", self.secret_key or DEVELOPMENT_SECRET)
            object.__setattr__(self, "wechat_token", self.wechat_token or DEVELOPMENT_SECRET)
        problems = list(self._problems())
        if problems:
            raise SettingsError(problems)

    def _problems(self) -> Iterator[str]:
        if self.app_env is Environment.PRODUCTION:
            if len(self.secret_key) < 16 or 0 < len(self.secret_key_previous) < 16:
                command = 'python -c "import secrets; print(secrets.token_hex(32))"'
                yield _("SECRET_KEY 没有设置，或者太短，保不住密：设为 %(command)s 的输出。", command=command)
            if DEVELOPMENT_SECRET in (self.wechat_token, self.wechat_token_previous):
                yield _("WECHAT_TOKEN 是众所周知的：自己选 3 到 32 个字母和数字。")
        if not 0 <= self.port <= 65535:
            yield _("PORT 必须是 0 到 65535。")
        for name, minimum in _MINIMUMS.items():
            if getattr(self, name) < minimum:
                yield _("%(name)s 至少是 %(minimum)s。", name=name.upper(), minimum=minimum)
        if not 0 < self.wechat_answer_seconds < 5:
            yield _("WECHAT_ANSWER_SECONDS 必须大于 0，小于平台的 5 秒。")
        if not _is_time_zone(self.wechat_time_zone):
            yield _("WECHAT_TIME_ZONE 必须是一个时区的名字，例如 Asia/Shanghai。")
        for name, pattern, rule in _patterns():
            if not re.match(pattern, getattr(self, name)):
                yield _("%(name)s 必须%(rule)s。", name=name.upper(), rule=rule)
        if self.media_url.startswith("s3://") and find_spec("boto3") is None:
            yield _("MEDIA_URL 指向存储桶，需要 boto3：pip install 'wechat-bot[s3]'。")
        if self.smtp_url and not self.mail_from:
            yield _("设置了 SMTP_URL，还要设置 MAIL_FROM：寄出提醒的邮箱地址。")
        if self.api_is_simulated and not self.simulator_is_on:
            yield _(
                "WECHAT_API_BASE_URL=simulator 用于虚构的公众号，而模拟器没有开：把 WECHAT_APP_ID 和"
                " WECHAT_APP_SECRET 设为你的公众号的，并清空 WECHAT_API_BASE_URL。"
            )
        try:
            self.credentials  # noqa: B018  # raises
        except CredentialsError as error:
            yield from error.problems

    @property
    def account(self) -> AccountSettings:
        """The account that the environment describes.

        :raises CredentialsError: when its credentials are not valid.
        """
        return AccountSettings(
            credentials=self.credentials,
            kind=self.wechat_account_kind,
            customer_service=self.wechat_customer_service,
            api_base_url=self.api_base_url,
            api_is_simulated=self.api_is_simulated,
            api_proxy=self.wechat_api_proxy,
            answer_seconds=self.wechat_answer_seconds,
            session_ttl=self.wechat_session_ttl,
            time_zone=ZoneInfo(self.wechat_time_zone),
            apology=self.wechat_apology,
            shows_errors=self.app_env is Environment.DEVELOPMENT,
            thinking=self.wechat_thinking,
            slow_handlers=self.wechat_slow_handlers,
            # Of one message, two pushes wait when the platform gives up the first: three quarters of the
            # threads in all.
            waiting_messages=max(1, self.web_threads * 3 // 8),
        )

    @property
    def credentials(self) -> Credentials:
        """The account's credentials.

        :raises CredentialsError: when they are not valid.
        """
        keys = _present(self.wechat_encoding_aes_key, self.wechat_encoding_aes_key_previous)
        mode = self.wechat_message_mode or (Mode.SAFE if keys else Mode.PLAIN)
        return Credentials(
            tokens=_present(self.wechat_token, self.wechat_token_previous),
            mode=Mode(mode) if mode in set(Mode) else Mode.PLAIN,
            app_id=self.wechat_app_id,
            app_secret=self.wechat_app_secret,
            aes_keys=keys,
        )

    @property
    def sqlalchemy_url(self) -> str:
        """DATABASE_URL with the name of the driver that the package extras install."""
        url = self.database_url or "sqlite:///wechat_bot.db"
        url = re.sub(r"^postgres(ql)?://", "postgresql+psycopg://", url)
        return re.sub(r"^(mysql|mariadb)://", r"\1+pymysql://", url)

    @property
    def database_is_in_instance(self) -> bool:
        """Whether the database is an SQLite file whose path is relative to the folder of INSTANCE_PATH."""
        return re.match(r"sqlite(\+\w+)?:///(?!/)", self.sqlalchemy_url) is not None

    @property
    def api_is_simulated(self) -> bool:
        """Whether the simulator provides the platform's API."""
        return self.wechat_api_base_url == "simulator"

    @property
    def api_base_url(self) -> str:
        return f"{self.own_url}/simulator/api" if self.api_is_simulated else self.wechat_api_base_url

    @property
    def own_url(self) -> str:
        """The URL at which programs on this machine reach the server."""
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)  # noqa: S104
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}"

    @property
    def console_is_on(self) -> bool:
        """Whether the console is enabled. "auto" means "yes"."""
        return self.console_enabled is not Switch.NO

    @property
    def admins_need_second_factor(self) -> bool:
        """Whether admins must have a second factor. "auto" means "no"."""
        return self.admin_second_factor is Switch.YES

    @property
    def metrics_are_on(self) -> bool:
        """Whether metrics are enabled. "auto" means "no"."""
        return self.metrics_enabled is Switch.YES

    @property
    def demos_are_on(self) -> bool:
        """Whether the demos are enabled. "auto" means in development only."""
        if self.demos_enabled is Switch.AUTO:
            return self.app_env is Environment.DEVELOPMENT
        return self.demos_enabled is Switch.YES

    @property
    def simulator_is_on(self) -> bool:
        """Whether the simulator is enabled. "auto" means in development only.

        It is always off where a sign-in is required and the console, which has the sign-in page, is off.
        """
        if self.simulator_enabled is Switch.AUTO and self.app_env is not Environment.DEVELOPMENT:
            return False
        return self.simulator_enabled is not Switch.NO and (self.simulator_is_open or self.console_is_on)

    @property
    def simulator_is_open(self) -> bool:
        """Whether the simulator requires no sign-in: in development, if only this machine can reach it."""
        return self.app_env is Environment.DEVELOPMENT and not self.reachable_from_outside

    @property
    def alerts_reach_private_addresses(self) -> bool:
        """Whether alerts may be sent to addresses that are not public. "auto" means "no"."""
        return self.alerts_private_addresses is Switch.YES

    @property
    def reachable_from_outside(self) -> bool:
        """Whether other machines can connect to HOST."""
        try:
            return not ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host != "localhost"

    @property
    def secret_keys(self) -> tuple[str, ...]:
        """SECRET_KEY and, while it is being changed, the previous one."""
        return _present(self.secret_key, self.secret_key_previous)

    @property
    def secrets_are_known(self) -> bool:
        """Whether a secret has its well-known default of development."""
        return DEVELOPMENT_SECRET in {self.secret_key, self.wechat_token}

    @property
    def token_is_weak(self) -> bool:
        """Whether strangers could guess the Token, and then sign messages in the name of followers."""
        return len(self.wechat_token) < MIN_TOKEN_LENGTH or len(set(self.wechat_token)) < MIN_TOKEN_LENGTH / 2


def _patterns() -> tuple[tuple[str, str, str], ...]:
    """Return settings, the pattern that the beginning of each must match, and the rule in words."""
    return (
        ("wechat_message_mode", rf"({'|'.join(Mode)})?$", _("是 plain、compatible、safe，或者留空")),
        (
            "database_url",
            r"$|(sqlite|postgres(ql)?|mysql|mariadb)(\+\w+)?://",
            _("以 sqlite://、postgres:// 或 mysql:// 开头"),
        ),
        (
            "database_url",
            r"(?!sqlite://(/?|/:memory:)$)",
            _("指定一个文件：内存里的数据库不能由各个连接共用"),
        ),
        ("redis_url", r"$|(rediss?|unix)://", _("以 redis://、rediss:// 或 unix:// 开头")),
        (
            "job_queue_url",
            rf"$|(rediss?|unix|postgres(ql)?)://|{IN_MEMORY}$",
            _("以 redis://、rediss://、unix:// 或 postgres:// 开头"),
        ),
        ("media_url", r"s3://[^/?]|(?!.*://)", _("是一个文件夹，或者以 s3:// 加存储桶的名字开头")),
        (
            "wechat_api_base_url",
            r"simulator$|https?://[^/]",
            _("以 https:// 或 http:// 开头，或者是 simulator"),
        ),
        ("public_url", r"$|https?://[^/?#\s]+[^?#\s]*$", _("以 https:// 或 http:// 开头，没有问号和井号")),
        ("smtp_url", r"$|smtps?://[^/]", _("以 smtp:// 或 smtps:// 开头")),
        ("mail_from", r"$|[^\r\n]*@[^\r\n]*$", _("是一个邮箱地址")),
        ("wechat_api_proxy", r"$|https?://[^/]", _("以 http:// 或 https:// 开头")),
    )


def _is_time_zone(name: str) -> bool:
    try:
        return bool(ZoneInfo(name))
    except (ZoneInfoNotFoundError, ValueError, OSError):  # also of a folder, and of a file that is none
        return False


def _present(*values: str) -> tuple[str, ...]:
    return tuple(value for value in values if value)
