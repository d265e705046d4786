"""The whole back end of a WeChat Official Account."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flask import Flask

    from .routing import Router
    from .settings import Settings
    from .wechat.api import Transport


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
    from flask import Flask
    from werkzeug.middleware.proxy_fix import ProxyFix

    from . import extensions, handlers, languages, logs, security
    from .settings import Settings

    settings = settings or Settings.load()
    logs.configure_logging(settings)
    app = Flask(__name__)
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
    from concurrent.futures import ThreadPoolExecutor

    from .extensions import create_reader, db
    from .prepared import Connections
    from .services.digest import Digest
    from .services.inbox import Inbox
    from .services.outbox import Outbox
    from .settings import Switch
    from .wechat.api import WeChatClient
    from .wechat.webhook import Webhook

    credentials = settings.credentials
    client = None
    if settings.wechat_app_secret and settings.wechat_customer_service is not Switch.NO:
        client = WeChatClient(credentials, settings.wechat_api_base_url, transport)
    with app.app_context():
        engine = db.engine
    reader = Connections(create_reader(engine, settings), settings.database_connections)
    executor = ThreadPoolExecutor(settings.wechat_slow_handlers, thread_name_prefix="slow")
    trusted = settings.wechat_customer_service is Switch.YES
    outbox = Outbox(engine, client, executor, trusted=trusted)
    app.extensions["digest"] = Digest(engine, router)
    app.extensions["settings"] = settings
    app.extensions["outbox"] = outbox
    app.extensions["inbox"] = Inbox(settings, engine, reader, router, outbox, executor, app.app_context)
    app.extensions["webhook"] = Webhook(credentials)


def _register_blueprints(app: Flask, settings: Settings) -> None:
    from . import cli
    from .blueprints import callback, health, site
    from .extensions import connect_console

    app.register_blueprint(callback.bp)
    app.register_blueprint(health.bp)
    app.register_blueprint(site.bp)
    if settings.demos_are_on:
        from .blueprints import demos

        app.register_blueprint(demos.bp)
    if settings.console_is_on:
        from .blueprints import admin

        app.register_blueprint(admin.bp)
        connect_console(app)
    cli.init_app(app)
