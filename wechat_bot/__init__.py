"""The whole back end of a WeChat Official Account."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flask import Flask
    from sqlalchemy import Engine

    from .metrics import Metrics
    from .routing import Router
    from .services.health.call_stats import CallStats
    from .services.projections.projector import Projector
    from .settings import Settings
    from .wechat.api import Transport, WeChatClient


def create_app(
    settings: Settings | None = None,
    router: Router | None = None,
    transport: Transport | None = None,
) -> Flask:
    """The application: the only place where the parts meet. Opens no connection.

    `settings` are read from the environment unless given, `router` is that of `wechat_bot.handlers`, and
    `transport` replaces the network between us and the platform's API.
    """
    # Imported here, so that the core can be used where Flask is not installed.
    from pathlib import Path

    from flask import Flask
    from werkzeug.middleware.proxy_fix import ProxyFix

    from . import extensions, handlers, languages, logs, security
    from .settings import Settings

    settings = settings or Settings.load()
    logs.configure_logging(settings)
    folder = str(Path(settings.instance_path).absolute()) if settings.instance_path else None
    app = Flask(__name__, instance_path=folder)
    app.config.update(
        SECRET_KEY=settings.secret_key,
        SECRET_KEY_FALLBACKS=[settings.secret_key_previous] if settings.secret_key_previous else None,
        SQLALCHEMY_DATABASE_URI=settings.sqlalchemy_url,
        SQLALCHEMY_ENGINE_OPTIONS=extensions.engine_options(settings),
        MAX_CONTENT_LENGTH=1 << 20,
    )
    if settings.trusted_proxies:
        proxies = settings.trusted_proxies
        app.wsgi_app = ProxyFix(app.wsgi_app, proxies, proxies, proxies, proxies, proxies)  # type: ignore[method-assign]
    logs.name_requests(app)
    security.init_app(app)
    languages.init_app(app)
    extensions.init_app(app)
    _connect_bot(app, settings, router or handlers.router, transport)
    _register_blueprints(app, settings)
    return app


def _connect_bot(app: Flask, settings: Settings, router: Router, transport: Transport | None) -> None:
    from pathlib import Path

    from .extensions import db
    from .jobs import Jobs
    from .services.projections.projector import Projector
    from .wechat.webhook import Webhook

    with app.app_context():
        engine = db.engine
    app.extensions |= {
        "settings": settings,
        "webhook": Webhook(settings.credentials),
        "digest": Projector(engine, router),
        "jobs": Jobs(settings, Path(app.instance_path)),
    }
    _connect_api(app, settings, engine, transport)
    _connect_services(app, settings, engine, router)


def _connect_api(app: Flask, settings: Settings, engine: Engine, transport: Transport | None) -> None:
    """What stands between the program and the platform's API."""
    from functools import partial
    from pathlib import Path

    from .services.accounts import ensure_account
    from .services.accounts.capabilities import Capabilities
    from .services.health.call_stats import CallStats
    from .services.health.doctor import Doctor
    from .services.media.archive import Archive
    from .services.media.blobs import open_store
    from .services.media.converter import Converter
    from .wechat.api.pictures import Pictures

    folder = Path(app.instance_path)
    metrics = _metrics(engine, app.extensions["digest"]) if settings.metrics_are_on else None
    call_stats = CallStats(engine, partial(ensure_account, engine, settings.wechat_app_id), metrics)
    client = _client(settings, engine, transport, call_stats)
    capabilities = Capabilities(engine, settings)
    app.extensions |= {
        "metrics": metrics,
        "call_stats": call_stats,
        "client": client,
        "capabilities": capabilities,
        "archive": Archive(
            engine,
            open_store(settings.media_url, folder),
            client,
            Pictures(settings.credentials, transport, settings.wechat_api_proxy),
            capabilities,
            Converter.of_this_machine(),
            settings.media_max_bytes,
        ),
        "doctor": Doctor(
            settings,
            engine,
            app.extensions["migrate"].directory,
            folder,
            capabilities,
            transport,
            call_stats.record_call,
        ),
    }


def _connect_services(app: Flask, settings: Settings, engine: Engine, router: Router) -> None:
    """What receives and sends, and the jobs of it."""
    from concurrent.futures import ThreadPoolExecutor

    from .database.compiled import Connections
    from .extensions import create_reader
    from .services.followers.sync import FollowerSynchronizer
    from .services.followers.write_back import WriteBack
    from .services.inbox.receiving import Inbox
    from .services.outbox.answers import Answers
    from .services.outbox.sending import Outbox

    client, capabilities, archive, jobs = (
        app.extensions[name] for name in ("client", "capabilities", "archive", "jobs")
    )
    reader = Connections(create_reader(engine, settings), settings.database_connections)
    executor = ThreadPoolExecutor(settings.wechat_slow_handlers, thread_name_prefix="slow")
    outbox = Outbox(engine, client, capabilities, archive, jobs.enqueue)
    followers = FollowerSynchronizer(engine, client, capabilities, jobs.enqueue)
    jobs.register("send", outbox.send)
    jobs.register("show_typing", outbox.show_typing)
    jobs.register("fetch", archive.fetch)
    jobs.register("sync", followers.run)
    app.extensions |= {
        "outbox": outbox,
        "answers": Answers(engine, capabilities, outbox, archive),
        "followers": followers,
        "writebacks": WriteBack(engine, client, capabilities),
        "inbox": Inbox(settings, engine, reader, router, outbox, executor, app.app_context),
    }


def _client(
    settings: Settings, engine: Engine, transport: Transport | None, call_stats: CallStats
) -> WeChatClient | None:
    """The client of the API, whose tokens all processes share; None without AppID and AppSecret."""
    from .services.accounts.access_tokens import DatabaseTokens
    from .wechat.api import WeChatClient

    if not (settings.wechat_app_id and settings.wechat_app_secret):
        return None
    return WeChatClient(
        settings.credentials,
        settings.api_base_url,
        transport,
        proxy=settings.wechat_api_proxy,
        store=DatabaseTokens(engine, settings.wechat_app_id),
        observe=call_stats.record_call,
    )


def _metrics(engine: Engine, digest: Projector) -> Metrics:
    """What is counted for Prometheus; SettingsError where its library is missing."""
    from .settings import SettingsError

    try:
        from .metrics import Metrics
    except ImportError as error:
        raise SettingsError(["METRICS_ENABLED needs: pip install 'wechat-bot[metrics]'."]) from error
    return Metrics(engine, digest.left)


def _register_blueprints(app: Flask, settings: Settings) -> None:
    from . import cli
    from .blueprints import callback, health, shared, site
    from .extensions import connect_console

    app.register_blueprint(callback.bp)
    app.register_blueprint(health.bp)
    app.register_blueprint(site.bp)
    app.register_blueprint(shared.bp)
    if settings.demos_are_on:
        from .blueprints import demos

        app.register_blueprint(demos.bp)
        app.register_blueprint(demos.follower_pages.bp)
    if settings.simulator_is_on:
        from .blueprints import simulator

        app.register_blueprint(simulator.bp)
    if settings.console_is_on:
        from .blueprints import admin

        app.register_blueprint(admin.bp)
        connect_console(app)
    cli.init_app(app)
