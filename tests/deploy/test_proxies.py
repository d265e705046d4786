"""The configurations of nginx and Caddy in ``deploy/``, and in the site of a panel, with nginx and Caddy."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
import pytest
from flask import Flask, request

from tests.conftest import MakeApp
from tests.deploy.proxies import ANY_CERTIFICATE, DEPLOY, NAME, PROXIES, Site, free_port
from tests.waiting import wait_until
from wechat_bot.blueprints.admin.answers.files import MAX_FORM
from wechat_bot.testing import FakePlatform, listening

HALF = b"POST %s HTTP/1.1\r\nHost: bot.example.com\r\nContent-Length: 1000\r\n\r\nhalf"

MakeSite = Callable[..., Site]


@pytest.fixture
def app(make_app: MakeApp) -> Flask:
    """An application that also tells how and by whom it was reached."""
    app = make_app(trusted_proxies=1)

    @app.get("/client")
    def client() -> str:
        return f"{request.scheme} {request.remote_addr}"

    return app


@pytest.fixture
def program(app: Flask) -> Iterator[str]:
    """The address and port of the program."""
    with listening(app) as url:
        yield urlsplit(url).netloc


@pytest.fixture(params=[*PROXIES])
def make_site(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[MakeSite]:
    """Starts a proxy in front of some programs, on demand with what its file proposes in comments."""
    with ExitStack() as running:

        def make(*programs: str, with_comments: bool = False) -> Site:
            site = PROXIES[request.param](tmp_path, [*programs], with_comments=with_comments)
            checked = site.checked()
            assert checked.returncode == 0, checked.stderr
            assert "[warn]" not in checked.stderr
            process = running.enter_context(site.started())
            running.callback(process.terminate)
            with site.client() as client:
                wait_until(lambda: _answers(client) or process.poll() is not None, site.log)
            assert process.poll() is None, site.log()
            return site

        yield make


def _answers(client: httpx2.Client) -> bool:
    try:
        return client.get("/healthz").status_code == 200
    except httpx2.TransportError:
        return False


@pytest.fixture
def site(make_site: MakeSite, program: str) -> Site:
    return make_site(program)


def answer(client: httpx2.Client, app: Flask) -> str:
    """Return the answer to a signed push."""
    platform = FakePlatform.of(app)
    query, body, _ = platform.request(platform.message("text", Content="帮助"))
    return client.post(f"/wechat?{query}", content=body).text


def test_pushes_are_answered_with_tls_and_without(app: Flask, site: Site) -> None:
    for scheme in ("https", "http"):
        with site.client(scheme) as client:
            assert "我会这些" in answer(client, app)


def test_pages_are_for_tls_alone(site: Site) -> None:
    with site.client("http") as client:
        redirection = client.get("/admin/?a=b")
        refusal = client.post("/admin/sign-in", data={"password": "secret"})
    assert redirection.status_code == 301
    assert redirection.headers["Location"] == f"https://{NAME}/admin/?a=b"
    assert refusal.status_code == 403


def test_the_program_knows_that_it_is_reached_over_tls(site: Site) -> None:
    forged = {"X-Forwarded-Prefix": "//evil", "X-Forwarded-Proto": "http", "Accept": "text/html"}
    with site.client() as client:
        page = client.get("/admin/", headers=forged)
    assert page.headers["Location"] == "/admin/sign-in?next=/admin/"
    assert "Strict-Transport-Security" in page.headers


def test_the_program_knows_the_address_of_the_client(site: Site) -> None:
    with site.client(source="127.0.0.9") as client:
        page = client.get("/client", headers={"X-Forwarded-For": "203.0.113.9"})
    assert page.text == "https 127.0.0.9"


def test_the_console_has_its_stylesheet(site: Site) -> None:
    with site.client() as client:
        assert client.get("/admin/static/admin.css").headers["Content-Type"].startswith("text/css")


def test_metrics_are_not_for_the_internet(site: Site) -> None:
    with site.client() as client:
        assert client.get("/metrics").status_code == 403


def test_the_console_can_be_for_some_addresses_alone(make_site: MakeSite, app: Flask, program: str) -> None:
    with make_site(program, with_comments=True).client() as client:
        assert client.get("/admin/sign-in").status_code == 403
        assert "我会这些" in answer(client, app)


@pytest.mark.parametrize("make_site", ["nginx", "caddy"], indirect=True)
def test_pushes_reach_the_other_host_if_one_is_down(make_site: MakeSite, app: Flask, program: str) -> None:
    site = make_site(f"127.0.0.1:{free_port()}", program)
    with site.client() as client:
        wait_until(lambda: all("我会这些" in answer(client, app) for _ in range(4)), site.log)
    assert "signature" not in site.log()


def test_pushes_get_through_while_others_send_half_a_request(app: Flask, site: Site) -> None:
    with ExitStack() as stack:
        for number in range(150):
            connection = socket.create_connection(("127.0.0.1", site.https))
            stranger = stack.enter_context(ANY_CERTIFICATE.wrap_socket(connection, server_hostname=NAME))
            stranger.sendall(HALF % (b"/wechat", b"/admin/sign-in")[number % 2])
        with site.client() as client:
            assert "我会这些" in answer(client, app)
    assert "signature" not in site.log()


@pytest.mark.parametrize("file", ["nginx/locations.conf", "caddy/Caddyfile"])
def test_operators_may_send_as_much_as_the_program_admits(file: str) -> None:
    assert f"{MAX_FORM >> 20}m" in (DEPLOY / file).read_text().lower()
