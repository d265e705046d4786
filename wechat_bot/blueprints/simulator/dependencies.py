"""The parts of the simulator, as the present request needs them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from flask import current_app, request

from ...simulator.delivery import PushDelivery, faulty_platform
from ...simulator.journal import Journal
from ...simulator.store import FileStore
from ...testing import FakeAPI
from ...wechat.credentials import Credentials, Mode
from ...wechat.errors import CredentialsError
from ...wiring import services


def folder() -> Path:
    """Where the simulator keeps everything."""
    return Path(current_app.instance_path) / "simulator"


def journal() -> Journal:
    return Journal(folder() / "journal.db")


def store() -> FileStore:
    return FileStore(folder())


def platform_api() -> FakeAPI:
    return FakeAPI(services().settings.credentials, store=store())


def push_delivery(openid: str) -> PushDelivery:
    """Delivers what a follower does, as the platform's choices say."""
    choices = journal().choices()
    url = f"{base_url()}/wechat"
    platform = faulty_platform(url, credentials(choices.mode), choices, platform_api()).follower(openid)
    return PushDelivery(journal(), url, platform, choices)


def credentials(mode: str) -> Credentials:
    """The bot's, in another mode if one is chosen that its settings allow."""
    ours = services().settings.credentials
    try:
        return replace(ours, mode=Mode(mode)) if mode else ours
    except (CredentialsError, ValueError):
        return ours


def base_url() -> str:
    """Where this server listens, whatever name the browser knows it by."""
    server = request.environ.get("werkzeug.proxy_fix.orig", request.environ)
    port = server.get("SERVER_PORT") or services().settings.port
    listening = services().settings.host
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(listening, listening)  # noqa: S104
    return f"http://{f'[{host}]' if ':' in host else host}:{port}{server.get('SCRIPT_NAME', '')}"
