"""Builds the services of an application and hands them out with their types.

`build_services` makes what all accounts share; `_build_account` makes what belongs to one account, from its
values. No other function decides which account it works for.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, cast

from flask import Flask, current_app
from sqlalchemy import Engine

from .database.compiled import Connections
from .database.engine import create_reader, create_writer
from .extensions import db, migrations_folder
from .jobs import Job, Jobs
from .routing import Router
from .services.accounts import ensure_account
from .services.accounts.access_tokens import DatabaseTokens
from .services.accounts.capabilities import Capabilities
from .services.accounts.quotas import Quotas
from .services.followers.sync import FollowerSynchronizer
from .services.followers.write_back import WriteBack
from .services.health.call_stats import CallStats
from .services.health.doctor import Doctor
from .services.inbox.receiving import Inbox
from .services.media.archive import Archive
from .services.media.blobs import open_store
from .services.media.converter import Converter
from .services.operators.sealing import Sealer
from .services.outbox.answers import Answers
from .services.outbox.sending import Outbox
from .services.projections.projector import Projector
from .settings import AccountSettings, Settings, SettingsError
from .wechat.api import Transport, WeChatClient
from .wechat.api.pictures import Pictures
from .wechat.webhook import Webhook

if TYPE_CHECKING:
    from .metrics import Metrics

EXTENSION = "wechat_bot"
"""The key of the services in ``app.extensions``."""


@dataclass(frozen=True, kw_only=True)
class SharedServices:
    """What all accounts of an application share."""

    settings: Settings
    engine: Engine
    writer: Engine
    """An engine for the inbox alone."""
    reader: Connections
    """Connections for what pushes read."""
    instance: Path
    """The folder of the files that the program keeps."""
    migrations: str
    """The folder of the migrations."""
    jobs: Jobs
    sealer: Sealer
    metrics: Metrics | None
    """None unless METRICS_ENABLED is on."""
    projector: Projector


@dataclass(frozen=True, kw_only=True)
class Services(SharedServices):
    """The services of one account, with those that it shares with others."""

    account: AccountSettings
    webhook: Webhook
    client: WeChatClient | None
    """The client of the platform's API; None without AppID and AppSecret."""
    capabilities: Capabilities
    quotas: Quotas
    call_stats: CallStats
    archive: Archive
    outbox: Outbox
    answers: Answers
    inbox: Inbox
    followers: FollowerSynchronizer
    write_back: WriteBack
    doctor: Doctor

    @property
    def account_id(self) -> int:
        """The id of the account's row, which is inserted when it is first needed."""
        return ensure_account(self.engine, self.account.app_id)

    def close(self) -> None:
        """Wait for slow handlers, write what is counted, and close the connections to the database."""
        self.call_stats.close()
        self.inbox.close()
        self.reader.close()
        self.engine.dispose()


def services(app: Flask | None = None) -> Services:
    """Return the services of `app`, by default of the current application."""
    return cast(Services, (app or current_app).extensions[EXTENSION])


def build_services(app: Flask, settings: Settings, router: Router, transport: Transport | None) -> Services:
    """Build the services of `app`. Opens no connection.

    :raises SettingsError: when METRICS_ENABLED is on and its library is missing.
    """
    with app.app_context():
        engine = db.engine
    projector = Projector(engine, router)
    shared = SharedServices(
        settings=settings,
        engine=engine,
        writer=create_writer(engine, settings),
        reader=Connections(create_reader(engine, settings), settings.database_connections),
        instance=Path(app.instance_path),
        migrations=migrations_folder(),
        jobs=Jobs(settings, Path(app.instance_path)),
        sealer=Sealer(*settings.secret_keys),
        metrics=_create_metrics(engine, projector) if settings.metrics_are_on else None,
        projector=projector,
    )
    return _build_account(app, shared, settings.account, router, transport)


def _create_metrics(engine: Engine, projector: Projector) -> Metrics:
    try:
        from .metrics import Metrics
    except ImportError as error:
        raise SettingsError(["METRICS_ENABLED needs: pip install 'wechat-bot[metrics]'."]) from error
    return Metrics(engine, projector.backlog)


def _build_account(
    app: Flask, shared: SharedServices, account: AccountSettings, router: Router, transport: Transport | None
) -> Services:
    """Build the services of one account from its values, and register its jobs."""
    settings, engine, jobs = shared.settings, shared.engine, shared.jobs
    account_id = partial(ensure_account, engine, account.app_id)
    capabilities = Capabilities(engine, account)
    call_stats = CallStats(engine, account_id, shared.metrics)
    observe = call_stats.record_call
    client = None
    if account.has_api:
        tokens, proxy, url = DatabaseTokens(engine, account_id), account.api_proxy, account.api_base_url
        client = WeChatClient(account.credentials, url, transport, proxy=proxy, store=tokens, observe=observe)
    blobs = open_store(settings.media_url, shared.instance)
    pictures = Pictures(account.credentials, transport, account.api_proxy)
    converter, max_bytes = Converter.detect(), settings.media_max_bytes
    archive = Archive(engine, blobs, client, pictures, capabilities, converter, jobs.enqueue, max_bytes)
    quotas = Quotas(engine, account_id, client)
    outbox = Outbox(engine, client, capabilities, quotas, archive, jobs.enqueue)
    followers = FollowerSynchronizer(engine, client, capabilities, jobs.enqueue)
    own, reader, writer, context = partial(services, app), shared.reader, shared.writer, app.app_context
    inbox = Inbox(account, account_id, writer, reader, router, outbox, context, own)
    migrations, folder = shared.migrations, shared.instance
    doctor = Doctor(
        settings, account, account_id, engine, migrations, folder, capabilities, transport, observe
    )
    jobs.register(Job.SEND, outbox.send)
    jobs.register(Job.SHOW_TYPING, outbox.show_typing)
    jobs.register(Job.FETCH_MEDIA, archive.download)
    jobs.register(Job.SYNC_FOLLOWERS, followers.run)
    return Services(
        **vars(shared),
        account=account,
        webhook=Webhook(account.credentials),
        client=client,
        capabilities=capabilities,
        quotas=quotas,
        call_stats=call_stats,
        archive=archive,
        outbox=outbox,
        answers=Answers(engine, capabilities, outbox, archive),
        inbox=inbox,
        followers=followers,
        write_back=WriteBack(engine, client, capabilities),
        doctor=doctor,
    )
