"""The configuration of nginx in the documentation, with nginx itself."""

from __future__ import annotations

import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from flask import Flask

from tests.conftest import MakeApp
from tests.needs import lacking
from wechat_bot.testing import FakePlatform, listening

CONFIGURATION = Path(__file__).parent.parent / "docs" / "nginx.conf"
HALF = b"POST %s HTTP/1.1\r\nHost: bot.example.com\r\nContent-Length: 1000\r\n\r\nhalf"

ANY_CERTIFICATE = ssl.create_default_context()
ANY_CERTIFICATE.check_hostname = False
ANY_CERTIFICATE.verify_mode = ssl.CERT_NONE


@dataclass(frozen=True)
class Site:
    """A folder with a configuration of nginx that includes the one of the documentation."""

    nginx: str
    file: Path
    port: int
    """Of TLS."""

    def command(self, *options: str) -> list[str]:
        return [self.nginx, "-p", str(self.file.parent), "-c", str(self.file), *options]


@pytest.fixture
def app(make_app: MakeApp) -> Flask:
    return make_app(trusted_proxies=1)


@pytest.fixture
def nginx() -> str:
    """The path of the program."""
    return shutil.which("nginx") or lacking("no nginx: apt install nginx")


@pytest.fixture
def site(app: Flask, nginx: str, tmp_path: Path) -> Iterator[Site]:
    with listening(app) as url:
        _write_certificate(tmp_path)
        http, https = free_port(), free_port()
        text = CONFIGURATION.read_text()
        for documented, own in {
            "127.0.0.1:5000": urlsplit(url).netloc,
            "listen 80;": f"listen 127.0.0.1:{http};",
            "listen 443 ssl;": f"listen 127.0.0.1:{https} ssl;",
            "/etc/ssl": str(tmp_path),
            "/var/log/nginx": str(tmp_path),
        }.items():
            assert documented in text
            text = text.replace(documented, own)
        (tmp_path / "site.conf").write_text(text)
        file = tmp_path / "nginx.conf"
        file.write_text(
            f"daemon off; pid {tmp_path}/nginx.pid; error_log stderr;\n"
            f"events {{}}\nhttp {{ access_log off; include {tmp_path}/site.conf; }}\n"
        )
        yield Site(nginx, file, https)


def _write_certificate(folder: Path) -> None:
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "bot.example.com")])
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
    certificate = builder.sign(key, hashes.SHA256())
    pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    (folder / "bot.example.com.pem").write_bytes(certificate.public_bytes(pem))
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain)
    (folder / "bot.example.com.key").write_bytes(private)


def free_port() -> int:
    with closing(socket.create_server(("127.0.0.1", 0))) as probe:
        return int(probe.getsockname()[1])


@pytest.fixture
def client(site: Site) -> Iterator[httpx2.Client]:
    """A browser that trusts any certificate, while nginx runs."""
    with subprocess.Popen(site.command(), stderr=subprocess.PIPE, text=True) as process:
        url = f"https://127.0.0.1:{site.port}"
        with httpx2.Client(
            base_url=url, headers={"Host": "bot.example.com"}, verify=ANY_CERTIFICATE
        ) as client:
            pause = threading.Event()
            while process.poll() is None and not _answers(client):
                pause.wait(0.05)
            yield client
        process.terminate()


def _answers(client: httpx2.Client) -> bool:
    try:
        return client.get("/healthz").status_code == 200
    except httpx2.TransportError:
        return False


def test_the_configuration_is_valid(site: Site) -> None:
    checked = subprocess.run(site.command("-t"), capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr
    assert "warn" not in checked.stderr


def test_the_program_knows_that_it_is_reached_over_tls(client: httpx2.Client) -> None:
    forged = {"X-Forwarded-Prefix": "//evil", "X-Forwarded-Proto": "http", "Accept": "text/html"}
    answer = client.get("/admin/", headers=forged)
    assert answer.headers["Location"] == "/admin/sign-in?next=/admin/"
    assert "Strict-Transport-Security" in answer.headers


def test_pushes_get_through_while_others_send_half_a_request(
    app: Flask, site: Site, client: httpx2.Client, tmp_path: Path
) -> None:
    platform = FakePlatform.of(app)
    query, body, _ = platform.request(platform.message("text", Content="帮助"))
    with ExitStack() as stack:
        for number in range(150):
            connection = socket.create_connection(("127.0.0.1", site.port))
            stranger = stack.enter_context(ANY_CERTIFICATE.wrap_socket(connection))
            stranger.sendall(HALF % (b"/wechat", b"/admin/sign-in")[number % 2])
        answer = client.post(f"/wechat?{query}", content=body)
    assert "我会这些" in answer.text
    log = (tmp_path / "wechat_bot.log").read_text()
    assert "POST /wechat" in log
    assert "signature" not in log
