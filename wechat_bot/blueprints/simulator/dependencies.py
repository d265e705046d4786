"""The simulator's objects, created for the current request."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from flask import current_app, request

from ...simulator.api import SimulatedAPI
from ...simulator.delivery import PushDelivery, faulty_platform
from ...simulator.flood_run import FloodFile
from ...simulator.journal import Journal
from ...simulator.platform import OPENID
from ...simulator.store import FileStore
from ...wechat.credentials import Credentials, Mode
from ...wechat.errors import CredentialsError
from ...wiring import services
from .access import check_sender, in_production


def folder() -> Path:
    return Path(current_app.instance_path) / "simulator"


def journal() -> Journal:
    return Journal(folder() / "journal.db", "" if in_production() else OPENID)


def flood_file() -> FloodFile:
    return FloodFile(folder())


def store() -> FileStore:
    return FileStore(folder())


def read_media(media_id: str) -> tuple[bytes, str] | None:
    """Return content and content type of a file that a follower or the bot sent, or None if there is none."""
    with store().opened() as state:
        found = state.media.get(media_id)
    try:
        return (store().read(media_id), found.content_type) if found else None
    except FileNotFoundError:  # it has made room for others
        return None


def platform_api() -> SimulatedAPI:
    return SimulatedAPI(services().settings.credentials, store=store())


def push_delivery(openid: str) -> PushDelivery:
    """Return the delivery of a follower's pushes, with the options of the journal.

    Aborts in production, if the follower is none of the simulator's.
    """
    check_sender(openid)
    options = journal().options()
    url = f"{base_url()}/wechat"
    platform = faulty_platform(url, credentials(options.mode), options, platform_api()).follower(openid)
    return PushDelivery(journal(), url, platform, options)


def credentials(mode: str) -> Credentials:
    """Return the bot's credentials with another `mode`, if it is not empty and they allow it."""
    own = services().settings.credentials
    try:
        return replace(own, mode=Mode(mode)) if mode else own
    except (CredentialsError, ValueError):
        return own


def base_url() -> str:
    """Return the URL at which this server listens, whatever host name the browser uses."""
    server = request.environ.get("werkzeug.proxy_fix.orig", request.environ)
    port = server.get("SERVER_PORT") or services().settings.port
    listening = services().settings.host
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(listening, listening)  # noqa: S104
    return f"http://{f'[{host}]' if ':' in host else host}:{port}{server.get('SCRIPT_NAME', '')}"
