"""Every setting: its name, type, default and meaning. ``.env.example`` is this list, written out."""

from __future__ import annotations

import ipaddress
import os
import re
import secrets
import string
from collections.abc import Iterator, Mapping
from dataclasses import Field, dataclass, field, fields
from enum import StrEnum
from importlib.util import find_spec
from io import StringIO
from pathlib import Path
from typing import Any, get_type_hints

from dotenv.parser import Original, parse_stream

from .wechat.account_kinds import AccountKind
from .wechat.credentials import Credentials, Mode
from .wechat.errors import CredentialsError


class SettingsError(Exception):
    """All that is wrong with the settings, one sentence with a remedy for each problem."""

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
"""A queue of jobs within this process, for tests."""

DEVELOPMENT_SECRET = "development"
"""What SECRET_KEY and WECHAT_TOKEN are in development when nobody set them."""

_GROUPS = {
    "app_env": "The program",
    "host": "The server (make run)",
    "database_url": "The database",
    "wechat_token": "The Official Account",
    "wechat_answer_seconds": "Answering",
    "media_url": "Media",
}


def _setting(default: Any, meaning: str, *, secret: bool = False) -> Any:
    return field(default=default, metadata={"meaning": meaning}, repr=not secret)


def _secret(meaning: str) -> Any:
    return _setting("", meaning, secret=True)


@dataclass(frozen=True, kw_only=True)
class AccountSettings:
    """The settings of one account, from which `wechat_bot.wiring` builds its services."""

    credentials: Credentials
    kind: AccountKind
    customer_service: Switch
    api_base_url: str
    api_is_simulated: bool
    """Whether the simulator plays the platform's API."""
    api_proxy: str
    answer_seconds: float
    session_ttl: int
    """Seconds."""
    apology: str
    thinking: str
    slow_handlers: int

    @property
    def app_id(self) -> str:
        return self.credentials.app_id

    @property
    def has_api(self) -> bool:
        """Whether there are AppID and AppSecret, without which there is no API."""
        return bool(self.credentials.app_id and self.credentials.app_secret)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The settings, checked when made: SettingsError lists all problems at once.

    In development a missing SECRET_KEY or WECHAT_TOKEN is "development"; production refuses that.
    """

    app_env: Environment = _setting(
        Environment.DEVELOPMENT, "development or production; production refuses secrets that others know."
    )
    secret_key: str = _secret("Signs cookies; 16 characters or more, best 64 random hex digits.")
    secret_key_previous: str = _secret("The key before, while its cookies are still in use.")
    trusted_proxies: int = _setting(0, "How many reverse proxies stand before the program.")
    log_level: LogLevel = _setting(
        LogLevel.INFO, "DEBUG, INFO, WARNING or ERROR; only DEBUG shows what followers wrote."
    )
    log_format: LogFormat = _setting(LogFormat.TEXT, "text or json: a line to read, or an object to collect.")
    instance_path: str = _setting(
        "",
        "The folder of the SQLite database, the queue, media and the simulator; empty: instance, beside the"
        " program.",
    )
    console_enabled: Switch = _setting(
        Switch.YES, "Whether operators may sign in to the console at /admin: yes or no."
    )
    demos_enabled: Switch = _setting(
        Switch.AUTO,
        "Whether anybody may open the Flask tutorial at /demo: auto (in development, not in production),"
        " yes or no.",
    )
    simulator_enabled: Switch = _setting(
        Switch.AUTO,
        "Whether the phone at /simulator is there: auto (in development, not in production), yes or no. Where"
        " others can reach it, operators sign in first.",
    )
    metrics_enabled: Switch = _setting(
        Switch.NO, "Whether Prometheus may read figures at /metrics: yes or no. From this machine, or with:"
    )
    metrics_token: str = _secret("The bearer token with which /metrics is read from other machines.")

    host: str = _setting("127.0.0.1", "The address to listen on.")
    port: int = _setting(5000, "The port to listen on.")
    web_workers: int = _setting(2, "Processes that answer requests.")
    web_threads: int = _setting(32, "Requests that one process answers at once; slow handlers keep one each.")

    database_url: str = _secret(
        "sqlite:///…, postgres://…, mysql://…; empty: instance/wechat_bot.db (SQLite)."
    )
    database_connections: int = _setting(
        4, "Connections of one process for writing, and as many for reading; count all processes."
    )
    sqlite_synchronous: Synchronous = _setting(
        Synchronous.FULL,
        "FULL: a power cut takes back no acknowledged message; NORMAL: faster, it may take back the last.",
    )
    redis_url: str = _secret("redis://…; the queue of background jobs, unless JOB_QUEUE_URL says otherwise.")
    job_queue_url: str = _secret(
        "redis://… or postgres://…; empty: REDIS_URL, or the file instance/jobs.db of this machine."
    )

    wechat_token: str = _secret("The Token entered in the platform's console; 3 to 32 letters, digits.")
    wechat_token_previous: str = _secret("The Token before, while it is being changed.")
    wechat_app_id: str = _setting(
        "", "AppID, wx and 16 hex digits; needed for the encrypted modes and the API."
    )
    wechat_app_secret: str = _secret("AppSecret; needed for the API.")
    wechat_encoding_aes_key: str = _secret("EncodingAESKey, 43 letters and digits.")
    wechat_encoding_aes_key_previous: str = _secret("The key before, while it is being changed.")
    wechat_message_mode: str = _setting(
        "",
        "plain, compatible (either is accepted) or safe (nothing but encrypted);"
        " empty: safe if there is a key, plain if not.",
    )
    wechat_api_base_url: str = _setting(
        "https://api.weixin.qq.com",
        "Where the platform's API is; simulator: the one that the simulator plays, for a made-up account.",
    )
    wechat_account_kind: AccountKind = _setting(
        AccountKind.UNKNOWN,
        "The kind of the account: unverified_subscription, verified_subscription, unverified_service,"
        " verified_service, test, or unknown (what the platform refuses is remembered).",
    )
    wechat_api_proxy: str = _secret("http://… or https://…, a proxy to the platform's API; empty: none.")
    wechat_customer_service: Switch = _setting(
        Switch.AUTO,
        "Whether the account may send customer-service messages: auto (tried when AppSecret is set, and"
        " remembered when the platform refuses), yes or no.",
    )

    wechat_answer_seconds: float = _setting(
        4.5, "After how long a push must be answered; the platform waits 5 seconds."
    )
    wechat_session_ttl: int = _setting(
        86400, "Seconds that a dialogue's session lives after its last change."
    )
    wechat_apology: str = _setting("", "What a follower reads when a handler failed; empty: nothing.")
    wechat_thinking: str = _setting(
        "还在思考，稍等片刻后回复任意内容，即可查看答案。",
        "What a follower reads when a slow answer has to be fetched with another message.",
    )
    wechat_slow_handlers: int = _setting(16, "Slow handlers that one process runs at once.")

    media_url: str = _secret(
        "Where pictures, voices and videos are kept: a folder, or s3://bucket/prefix?endpoint=https://…;"
        " empty: instance/media."
    )
    media_max_bytes: int = _setting(20 << 20, "The largest file that is kept, in bytes.")

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
                yield (
                    "SECRET_KEY is missing or too short to be secret: set it to the output of"
                    ' python -c "import secrets; print(secrets.token_hex(32))".'
                )
            if DEVELOPMENT_SECRET in (self.wechat_token, self.wechat_token_previous):
                yield "WECHAT_TOKEN is known to others: choose 3 to 32 letters and digits of your own."
        if not 0 <= self.port <= 65535:
            yield "PORT must be 0 to 65535."
        for name in (
            "web_workers",
            "web_threads",
            "database_connections",
            "wechat_slow_handlers",
            "media_max_bytes",
            "wechat_session_ttl",
        ):
            if getattr(self, name) < 1:
                yield f"{name.upper()} must be 1 or more."
        if self.trusted_proxies < 0:
            yield "TRUSTED_PROXIES must be 0 or more."
        if not 0 < self.wechat_answer_seconds < 5:
            yield "WECHAT_ANSWER_SECONDS must be less than the platform's 5 and more than 0."
        if self.wechat_message_mode not in {"", *Mode}:
            yield "WECHAT_MESSAGE_MODE must be plain, compatible, safe or empty."
        if self.database_url and not re.match(
            r"(sqlite|postgres(ql)?|mysql|mariadb)(\+\w+)?://", self.database_url
        ):
            yield "DATABASE_URL must begin with sqlite://, postgres:// or mysql://."
        if re.fullmatch(r"sqlite://(/?|/:memory:)", self.database_url):
            yield "DATABASE_URL must name a file: a database in memory is not shared by all connections."
        if self.redis_url and not re.match(r"(rediss?|unix)://", self.redis_url):
            yield "REDIS_URL must begin with redis://, rediss:// or unix://."
        if self.job_queue_url and not re.match(
            rf"(rediss?|unix|postgres(ql)?)://|{IN_MEMORY}$", self.job_queue_url
        ):
            yield "JOB_QUEUE_URL must begin with redis://, rediss://, unix:// or postgres://."
        if "://" in self.media_url and not re.match(r"s3://[^/?]", self.media_url):
            yield "MEDIA_URL must be a folder, or begin with s3:// and the name of a bucket."
        if self.media_url.startswith("s3://") and find_spec("boto3") is None:
            yield "MEDIA_URL names a bucket, which needs boto3: pip install 'wechat-bot[s3]'."
        if self.api_is_simulated:
            if not self.simulator_is_on:
                yield (
                    "WECHAT_API_BASE_URL=simulator is for a made-up account, and the simulator is off: set"
                    " WECHAT_APP_ID and WECHAT_APP_SECRET to your account's, and empty WECHAT_API_BASE_URL."
                )
        elif not re.match(r"https?://[^/]", self.wechat_api_base_url):
            yield "WECHAT_API_BASE_URL must begin with https:// or http://, or be simulator."
        if self.wechat_api_proxy and not re.match(r"https?://[^/]", self.wechat_api_proxy):
            yield "WECHAT_API_PROXY must begin with http:// or https://."
        try:
            _ = self.credentials
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
            apology=self.wechat_apology,
            thinking=self.wechat_thinking,
            slow_handlers=self.wechat_slow_handlers,
        )

    @property
    def credentials(self) -> Credentials:
        """The account's credentials; CredentialsError."""
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
        """DATABASE_URL with the driver that the extras install."""
        url = self.database_url or "sqlite:///wechat_bot.db"
        url = re.sub(r"^postgres(ql)?://", "postgresql+psycopg://", url)
        return re.sub(r"^(mysql|mariadb)://", r"\1+pymysql://", url)

    @property
    def api_is_simulated(self) -> bool:
        """Whether the simulator plays the platform's API."""
        return self.wechat_api_base_url == "simulator"

    @property
    def api_base_url(self) -> str:
        """Where the platform's API is."""
        if not self.api_is_simulated:
            return self.wechat_api_base_url
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)  # noqa: S104
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}/simulator/api"

    @property
    def console_is_on(self) -> bool:
        """Whether CONSOLE_ENABLED says so; "auto" is "yes"."""
        return self.console_enabled is not Switch.NO

    @property
    def metrics_are_on(self) -> bool:
        """Whether METRICS_ENABLED says so; "auto" is "no"."""
        return self.metrics_enabled is Switch.YES

    @property
    def demos_are_on(self) -> bool:
        """Whether DEMOS_ENABLED, or else the environment, switches the demos on."""
        if self.demos_enabled is Switch.AUTO:
            return self.app_env is Environment.DEVELOPMENT
        return self.demos_enabled is Switch.YES

    @property
    def simulator_is_on(self) -> bool:
        """Whether SIMULATOR_ENABLED, or else the environment, switches the simulator on; it is off where
        nobody could sign in to it."""
        if self.simulator_enabled is Switch.AUTO and self.app_env is not Environment.DEVELOPMENT:
            return False
        return self.simulator_enabled is not Switch.NO and (self.simulator_is_open or self.console_is_on)

    @property
    def simulator_is_open(self) -> bool:
        """Whether it may be used without signing in: in development, by this machine alone."""
        return self.app_env is Environment.DEVELOPMENT and not self.reachable_from_outside

    @property
    def reachable_from_outside(self) -> bool:
        """Whether HOST lets other machines in."""
        try:
            return not ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host != "localhost"

    @property
    def secrets_are_known(self) -> bool:
        """Whether a default of development is in use."""
        return DEVELOPMENT_SECRET in {self.secret_key, self.wechat_token}

    @classmethod
    def load(cls, env_file: Path | None = None, environ: Mapping[str, str] = os.environ) -> Settings:
        """The settings from `env_file` (``.env`` of the working directory unless given) and the
        environment, which wins. Blank values count as not set. SettingsError."""
        values = {**_read_env_file(env_file or Path(".env")), **environ}
        types = get_type_hints(cls)
        parsed: dict[str, Any] = {}
        problems = []
        for setting in fields(cls):
            name, text = setting.name.upper(), (values.get(setting.name.upper()) or "").strip()
            if not text:
                continue
            try:
                parsed[setting.name] = types[setting.name](text)
            except ValueError:
                problems.append(f"{name} is {text!r}, but must be {_expected(types[setting.name])}.")
        try:
            settings = cls(**parsed)
        except SettingsError as error:
            problems += error.problems
        if problems:
            raise SettingsError(problems)
        return settings


def _read_env_file(path: Path) -> dict[str, str]:
    if not path.exists():
        return {}
    try:
        bindings = list(parse_stream(StringIO(path.read_text(encoding="utf-8"))))
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError([f"{path} cannot be read ({error}): correct or remove it."]) from error
    bad = [
        str(_line(binding.original))
        for binding in bindings
        if binding.error or (binding.key and binding.value is None)
    ]
    if bad:
        raise SettingsError([f"{path} has lines that are not NAME=value: correct line {', '.join(bad)}."])
    return {binding.key: binding.value or "" for binding in bindings if binding.key}


def _line(original: Original) -> int:
    """The number of the line, not counting the blank ones that the parser takes for its beginning."""
    blank = len(original.string) - len(original.string.lstrip())
    return original.line + original.string[:blank].count("\n")


def _present(*values: str) -> tuple[str, ...]:
    return tuple(value for value in values if value)


def _expected(kind: type) -> str:
    if issubclass(kind, StrEnum):
        return " or ".join(kind)
    return {int: "a whole number", float: "a number"}[kind]


def env_text(values: Mapping[str, str] | None = None) -> str:
    """A ``.env`` with every setting, its meaning and its default, or the one in `values`."""
    values = values or {}
    lines = ["# Settings of wechat_bot. The real environment wins over this file."]
    for setting in fields(Settings):
        if setting.name in _GROUPS:
            lines += ["", f"## {_GROUPS[setting.name]}"]
        lines += [f"# {setting.metadata['meaning']}", f"{setting.name.upper()}={_value(setting, values)}"]
    return "\n".join(lines) + "\n"


def _value(setting: Field[Any], values: Mapping[str, str]) -> str:
    return values.get(setting.name.upper(), str(setting.default))


def create_env_file(path: Path) -> None:
    """Write `path` with fresh secrets, readable by its owner alone; FileExistsError if it is there."""
    letters = string.ascii_letters + string.digits
    values = {
        "SECRET_KEY": secrets.token_hex(32),
        "WECHAT_TOKEN": "".join(secrets.choice(letters) for _ in range(24)),
        "WECHAT_ENCODING_AES_KEY": "".join(secrets.choice(letters) for _ in range(43)),
        "WECHAT_MESSAGE_MODE": Mode.PLAIN.value,  # as a new account has it
        # An account that only the simulator knows, so that everything can be tried.
        "WECHAT_APP_ID": f"wx{secrets.token_hex(8)}",
        "WECHAT_APP_SECRET": secrets.token_hex(16),
        "WECHAT_API_BASE_URL": "simulator",
    }
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(env_text(values))
