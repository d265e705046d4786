"""Builds the services of an application and hands them out with their types.

`build_services` makes what all accounts share; `_build_account` makes what belongs to one account, from its
values. No other function decides which account it works for.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial, wraps
from pathlib import Path
from typing import TYPE_CHECKING, cast

from flask import Flask, current_app
from sqlalchemy import Engine

from . import logs
from .database.compiled import Connections
from .database.engine import create_reader, create_slow_engine, create_writer
from .extensions import PAGES, db, migrations_folder
from .jobs import Job, Jobs
from .routing import Router
from .services.accounts import ensure_account
from .services.accounts.access_tokens import DatabaseTokens
from .services.accounts.capabilities import Capabilities
from .services.accounts.quotas import Quotas
from .services.alerts.telling import Alerts
from .services.assistant.answering import Assistant
from .services.assistant.embedding import embedder
from .services.assistant.profiles import Profiles
from .services.conversations import canned_replies
from .services.evaluations.assistants import ProfileAssistants
from .services.evaluations.running import Evaluations
from .services.followers.sync import FollowerSynchronizer
from .services.followers.write_back import WriteBack
from .services.health.call_stats import CallStats
from .services.health.doctor import Doctor
from .services.inbox.receiving import Inbox
from .services.knowledge.articles import Articles
from .services.knowledge.embedding import Vectorizer
from .services.knowledge.retrieval import Retriever
from .services.media.archive import Archive
from .services.media.blobs import open_store
from .services.media.converter import Converter
from .services.media.library import Library, together
from .services.media.materials import Materials
from .services.menus.publishing import Menus
from .services.operators.sealing import Sealer
from .services.outbox.answers import Answers
from .services.outbox.sending import Outbox
from .services.personal_data.erasure import Erasures
from .services.personal_data.register import Register
from .services.projections.projector import Projector
from .services.questions.grouping import Questions
from .services.rules.files import files_in_menus, files_in_use, media_id
from .services.rules.importer import Importer
from .services.rules.rule_book import RuleBook
from .services.scenarios.running import Scenarios
from .settings import AccountSettings, Settings, SettingsError
from .wechat.api import Call, Transport, WeChatClient
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
    page_engine: Engine
    """The engine of the sessions of requests, see `extensions.PAGES`."""
    writer: Engine
    """An engine for the inbox alone."""
    reader: Connections
    """Connections for what pushes read."""
    slow_engine: Engine
    """An engine for slow handlers, which wait for a connection."""
    instance: Path
    """The folder of the files that the program keeps."""
    migrations: str
    """The folder of the migrations."""
    router: Router
    jobs: Jobs
    sealer: Sealer
    metrics: Metrics | None
    """None unless METRICS_ENABLED is on."""
    projector: Projector
    questions: Questions
    erasures: Erasures


@dataclass(frozen=True, kw_only=True)
class Services(SharedServices):
    """The services of one account, with those that it shares with others."""

    account: AccountSettings
    webhook: Webhook
    client: WeChatClient | None
    """The client of the platform's API; None without AppID and AppSecret."""
    capabilities: Capabilities
    quotas: Quotas
    rules: RuleBook
    call_stats: CallStats
    archive: Archive
    library: Library
    materials: Materials
    importer: Importer
    outbox: Outbox
    answers: Answers
    inbox: Inbox
    knowledge: Retriever
    vectorizer: Vectorizer
    articles: Articles
    scenarios: Scenarios
    evaluations: Evaluations
    followers: FollowerSynchronizer
    write_back: WriteBack
    menus: Menus
    profiles: Profiles
    assistant: Assistant
    alerts: Alerts
    doctor: Doctor

    @cached_property
    def account_id(self) -> int:
        """The id of the account's row, which is inserted when it is first needed."""
        return ensure_account(self.engine, self.account.app_id)

    def close(self) -> None:
        """Wait for slow handlers, write what is counted, and close the connections to the database."""
        self.call_stats.close()
        self.inbox.close()
        self.reader.close()
        self.slow_engine.dispose()
        self.page_engine.dispose()
        self.engine.dispose()


def services(app: Flask | None = None) -> Services:
    """Return the services of `app`, by default of the current application."""
    return cast(Services, (app or current_app).extensions[EXTENSION])


def build_services(app: Flask, settings: Settings, router: Router, transport: Transport | None) -> Services:
    """Build the services of `app`. Opens no connection.

    :raises SettingsError: when METRICS_ENABLED is on and its library is missing.
    """
    with app.app_context():
        engine, page_engine = db.engine, db.engines[PAGES]
    projector = Projector(engine, router, settings.account.time_zone)
    questions = Questions(engine, router, settings.account.time_zone)
    folder = Path(app.instance_path)
    shared = SharedServices(
        settings=settings,
        engine=engine,
        page_engine=page_engine,
        writer=create_writer(engine, settings),
        reader=Connections(create_reader(engine, settings), settings.database_connections),
        slow_engine=create_slow_engine(engine, settings),
        instance=folder,
        migrations=migrations_folder(),
        router=router,
        jobs=Jobs(settings, folder),
        sealer=Sealer(*settings.secret_keys),
        metrics=_create_metrics(app, engine, page_engine, projector, settings),
        projector=projector,
        questions=questions,
        erasures=Erasures(engine, projector, questions, Register(folder, settings.secret_keys)),
    )
    return _build_account(app, shared, settings.account, router, transport)


def _create_metrics(
    app: Flask, engine: Engine, page_engine: Engine, projector: Projector, settings: Settings
) -> Metrics | None:
    if not settings.metrics_are_on:
        return None
    try:
        from .metrics import Metrics, watch_pool
    except ImportError as error:
        raise SettingsError(["METRICS_ENABLED needs: pip install 'wechat-bot[metrics]'."]) from error
    watch_pool(engine)
    watch_pool(page_engine)
    return Metrics(engine, projector.backlog, Path(app.instance_path), settings.account.time_zone)


def _build_account(
    app: Flask, shared: SharedServices, account: AccountSettings, router: Router, transport: Transport | None
) -> Services:
    """Build the services of one account from its values, and register its jobs."""
    settings, engine, jobs = shared.settings, shared.engine, shared.jobs
    account_id = partial(ensure_account, engine, account.app_id)
    capabilities = Capabilities(engine, account)
    call_stats = CallStats(engine, account_id, account.app_id, shared.metrics)
    observe = call_stats.record_call
    client = _create_client(account, DatabaseTokens(engine, account_id), transport, observe)
    pictures = Pictures(account.credentials, transport, account.api_proxy)
    archive = _create_archive(shared, client, pictures, capabilities)
    in_use = together(files_in_use, files_in_menus, canned_replies.files_in_use)
    library = Library(engine, client, capabilities, archive, in_use)
    materials = Materials(engine, client, library, jobs.enqueue)
    quotas = Quotas(engine, account_id, client)
    outbox = Outbox(engine, client, capabilities, quotas, archive, jobs.enqueue, router)
    followers = FollowerSynchronizer(engine, client, capabilities, jobs.enqueue)
    own, reader, writer, context = partial(services, app), shared.reader, shared.writer, app.app_context
    rules = RuleBook(writer, account.time_zone, partial(media_id, engine))
    inbox = Inbox(account, account_id, writer, reader, router, rules, outbox, context, own)
    profiles = Profiles(engine, shared.sealer)
    embedding_model = partial(embedder, profiles)
    knowledge = Retriever(shared.slow_engine, embedding_model)
    assistant = Assistant(shared.slow_engine, profiles, knowledge, pictures, account.time_zone)
    migrations, folder = shared.migrations, shared.instance
    doctor = Doctor(
        settings,
        account,
        account_id,
        engine,
        migrations,
        folder,
        capabilities,
        transport,
        observe,
        assistant.budget,
    )
    built = Services(
        **vars(shared),
        account=account,
        webhook=Webhook(account.credentials),
        client=client,
        capabilities=capabilities,
        quotas=quotas,
        rules=rules,
        call_stats=call_stats,
        archive=archive,
        library=library,
        materials=materials,
        importer=Importer(engine, client, library),
        outbox=outbox,
        answers=Answers(engine, capabilities, outbox, archive),
        inbox=inbox,
        knowledge=knowledge,
        vectorizer=Vectorizer(engine, embedding_model),
        articles=Articles(engine, client, jobs.enqueue),
        scenarios=Scenarios(engine, account, router, rules, inbox.runner),
        evaluations=Evaluations(engine, rules, ProfileAssistants(profiles, assistant), jobs.enqueue),
        followers=followers,
        write_back=WriteBack(engine, client, capabilities),
        menus=Menus(engine, client, capabilities, router),
        profiles=profiles,
        assistant=assistant,
        alerts=Alerts(engine, shared.sealer, settings, account.time_zone),
        doctor=doctor,
    )
    _register_jobs(built)
    return built


def _create_archive(
    shared: SharedServices, client: WeChatClient | None, pictures: Pictures, capabilities: Capabilities
) -> Archive:
    settings, enqueue = shared.settings, shared.jobs.enqueue
    blobs, converter = open_store(settings.media_url, shared.instance), Converter.detect()
    max_bytes = settings.media_max_bytes
    return Archive(shared.engine, blobs, client, pictures, capabilities, converter, enqueue, max_bytes)


def _create_client(
    account: AccountSettings,
    store: DatabaseTokens,
    transport: Transport | None,
    observe: Callable[[Call], None],
) -> WeChatClient | None:
    if not account.has_api:
        return None
    url, proxy = account.api_base_url, account.api_proxy
    return WeChatClient(account.credentials, url, transport, proxy=proxy, store=store, observe=observe)


def _register_jobs(bot: Services) -> None:
    functions: dict[Job, Callable[[int], object]] = {
        Job.SEND: bot.outbox.send,
        Job.SHOW_TYPING: bot.outbox.show_typing,
        Job.FETCH_MEDIA: bot.archive.download,
        Job.SYNC_FOLLOWERS: bot.followers.run,
        Job.IMPORT_MATERIALS: bot.materials.run,
        Job.IMPORT_ARTICLES: bot.articles.run,
        Job.EVALUATE: bot.evaluations.run,
        Job.LOAD_SAMPLE_DATA: lambda _account_id: _load_sample_data(bot),
    }
    for job, function in functions.items():
        bot.jobs.register(job, _logged(bot.account.app_id, job, function))


def _logged(account: str, job: Job, function: Callable[[int], object]) -> Callable[[int], object]:
    """Return `function` for a job; the lines that it logs have the job's name and the id of its row."""

    @wraps(function)
    def run(row_id: int) -> object:
        with logs.about(account=account, job=job, row=row_id):
            return function(row_id)

    return run


def _load_sample_data(bot: Services) -> None:
    from .sample_data.loading import load_sample_data  # most processes need none of it

    load_sample_data(bot.engine, bot.router, bot.account.app_id, bot.projector, bot.archive)
