"""The whole back end of a WeChat Official Account."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flask import Flask

    from .routing import Router
    from .settings import Settings
    from .wechat.api import Transport


def create_app(
    settings: Settings | None = None, router: Router | None = None, transport: Transport | None = None
) -> Flask:
    """Create the application. Opens no connection.

    `settings` are read from the environment unless given, `router` is that of `wechat_bot.handlers` unless
    given, and `transport` replaces the network connection to the platform's API.

    :raises SettingsError: listing every problem of the settings.
    """
    # Imported here, so that `wechat_bot.wechat` can be used where Flask is not installed.
    from . import extensions, handlers, languages, logs, security, tracing
    from .database.engine import prepare_folder
    from .env_file import load_settings
    from .wiring import EXTENSION, build_services

    settings = settings or load_settings()
    logs.configure_logging(settings)
    app = _create_flask(settings)
    logs.name_requests(app, trusts_proxy=settings.trusted_proxies > 0)
    security.init_app(app)
    prepare_folder(settings, app.instance_path)
    languages.init_app(app)
    extensions.init_app(app)
    app.extensions[EXTENSION] = build_services(app, settings, router or handlers.router, transport)
    _register_blueprints(app, settings)
    tracing.init_app(app)
    return app


def _create_flask(settings: Settings) -> Flask:
    from pathlib import Path

    from werkzeug.middleware.proxy_fix import ProxyFix

    from .application import Application
    from .database.engine import engine_options, page_options
    from .extensions import PAGES

    folder = str(Path(settings.instance_path).absolute()) if settings.instance_path else None
    app = Application(__name__, instance_path=folder, body_reads=max(1, settings.web_threads // 8))
    app.config.update(
        SECRET_KEY=settings.secret_key,
        SECRET_KEY_FALLBACKS=[settings.secret_key_previous] if settings.secret_key_previous else None,
        SQLALCHEMY_DATABASE_URI=settings.sqlalchemy_url,
        SQLALCHEMY_ENGINE_OPTIONS=engine_options(settings),
        SQLALCHEMY_BINDS={PAGES: {"url": settings.sqlalchemy_url} | page_options(settings)},
        MAX_CONTENT_LENGTH=1 << 20,
    )
    if settings.trusted_proxies:
        proxies = settings.trusted_proxies
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=proxies, x_proto=proxies)  # type: ignore[method-assign]
    return app


def _register_blueprints(app: Flask, settings: Settings) -> None:
    from . import cli
    from .blueprints import callback, health, shared, site
    from .extensions import connect_console
    from .wiring import services

    app.register_blueprint(callback.bp)
    app.wsgi_app = callback.PushesInTurn(app.wsgi_app, services(app))  # type: ignore[method-assign]
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
