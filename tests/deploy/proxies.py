"""nginx and Caddy with the configurations of ``deploy/``, on free ports of this machine."""

from __future__ import annotations

import os
import re
import shutil
import socket
import ssl
import subprocess
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx2
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.needs import lacking

DEPLOY = Path(__file__).parent.parent.parent / "deploy"
NAME = "bot.example.com"

ANY_CERTIFICATE = ssl.create_default_context()
ANY_CERTIFICATE.check_hostname = False
ANY_CERTIFICATE.verify_mode = ssl.CERT_NONE


def free_port() -> int:
    with closing(socket.create_server(("127.0.0.1", 0))) as probe:
        return int(probe.getsockname()[1])


@dataclass(frozen=True)
class Site:
    """A proxy with its files in a folder: how it is checked and run, and its clients."""

    folder: Path
    check: list[str]
    run: list[str]
    environment: dict[str, str] = field(default_factory=dict)
    http: int = field(default_factory=free_port)
    https: int = field(default_factory=free_port)

    def started(self) -> subprocess.Popen[str]:
        with (self.folder / "output.log").open("w") as log:
            return subprocess.Popen(
                self.run, env={**os.environ, **self.environment}, stdout=log, stderr=log, text=True
            )

    def checked(self) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.check, env={**os.environ, **self.environment}, capture_output=True, text=True, check=False
        )

    def client(self, scheme: str = "https", source: str = "127.0.0.1") -> httpx2.Client:
        """Return a browser at the address `source` that trusts any certificate."""
        port = self.https if scheme == "https" else self.http
        return httpx2.Client(
            base_url=f"{scheme}://127.0.0.1:{port}",
            headers={"Host": NAME},
            transport=httpx2.HTTPTransport(verify=ANY_CERTIFICATE, local_address=source),
        )

    def log(self) -> str:
        """Return what the proxy has written of requests and errors."""
        return "".join(path.read_text() for path in self.folder.glob("*.log"))


def make_nginx(folder: Path, programs: list[str], *, with_comments: bool) -> Site:
    changes = {
        "server 127.0.0.1:5000;": " ".join(f"server {program};" for program in programs),
        "listen 80;": "listen 127.0.0.1:HTTP;",
        "listen 443 ssl;": "listen 127.0.0.1:HTTPS ssl;",
        f"/etc/letsencrypt/live/{NAME}": str(folder),
        "/var/log/nginx": str(folder),
        "/opt/wechat-bot/deploy/nginx": str(folder),
    }
    (folder / "locations.conf").write_text(_text("nginx/locations.conf", with_comments))
    return _site_of_nginx(folder, _replaced((DEPLOY / "nginx/wechat-bot.conf").read_text(), changes))


def make_panel(folder: Path, programs: list[str], *, with_comments: bool) -> Site:
    """Return a site as 宝塔 and 1Panel write it, with their reverse proxy replaced as documented."""
    locations = _text("nginx/locations.conf", with_comments)
    (folder / "locations.conf").write_text(_replaced(locations, {"//wechat_bot": f"//{programs[0]}"}))
    return _site_of_nginx(
        folder,
        f"""
        proxy_cache_path {folder}/cache keys_zone=panel:1m;
        proxy_cache panel;
        proxy_next_upstream error timeout invalid_header http_500 http_503 http_404;
        server {{
            listen 127.0.0.1:HTTP;
            listen 127.0.0.1:HTTPS ssl;
            server_name {NAME};
            ssl_certificate {folder}/fullchain.pem;
            ssl_certificate_key {folder}/privkey.pem;
            error_page 497 https://$host$request_uri;
            proxy_http_version 1.1;
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
            proxy_set_header Connection "upgrade";
            location ^~ /.well-known {{ root {folder}; }}
            include {folder}/locations.conf;
            location ~ .*\\.(gif|jpg|jpeg|png|bmp|swf)$ {{ expires 30d; }}
            location ~ .*\\.(js|css)?$ {{ expires 12h; }}
        }}
        """,
    )


def _site_of_nginx(folder: Path, text: str) -> Site:
    """Return a site with a configuration that has HTTP and HTTPS for the ports."""
    nginx = shutil.which("nginx") or lacking("no nginx: apt install nginx")
    file = folder / "nginx.conf"
    command = [nginx, "-p", str(folder), "-c", str(file)]
    site = Site(folder, [*command, "-t"], command)
    _write_certificate(folder)
    text = text.replace(":HTTPS", f":{site.https}").replace(":HTTP", f":{site.http}")
    (folder / "site.conf").write_text(text)
    file.write_text(
        f"daemon off; pid {folder}/nginx.pid; error_log stderr;\n"
        f"events {{}}\nhttp {{ access_log off; include {folder}/site.conf; }}\n"
    )
    return site


def make_caddy(folder: Path, programs: list[str], *, with_comments: bool) -> Site:
    caddy = shutil.which("caddy") or lacking("no caddy: apt install caddy")
    file = folder / "Caddyfile"
    options = ["--config", str(file), "--adapter", "caddyfile"]
    environment = {
        "PUBLIC_URL": f"https://{NAME}",
        "WECHAT_BOT": " ".join(programs),
        "XDG_DATA_HOME": str(folder),
        "XDG_CONFIG_HOME": str(folder),
    }
    site = Site(folder, [caddy, "validate", *options], [caddy, "run", *options], environment)
    here = f"""
        admin off
        default_bind 127.0.0.1
        default_sni {NAME}
        http_port {site.http}
        https_port {site.https}
        local_certs
        skip_install_trust
    """
    file.write_text(
        _replaced(_text("caddy/Caddyfile", with_comments), {"\tauto_https": f"{here}\tauto_https"})
    )
    return site


PROXIES = {"nginx": make_nginx, "caddy": make_caddy, "panel": make_panel}


def _text(path: str, with_comments: bool) -> str:
    """Return a configuration, on demand with the directives that its comments propose."""
    text = (DEPLOY / path).read_text()
    return re.sub(r"^([ \t]+)# (?=\t|.*[;{}]$)", r"\1", text, flags=re.M) if with_comments else text


def _replaced(text: str, changes: dict[str, str]) -> str:
    for documented, own in changes.items():
        assert documented in text
        text = text.replace(documented, own)
    return text


def _write_certificate(folder: Path) -> None:
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, NAME)])
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
    certificate = builder.sign(key, hashes.SHA256())
    pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    (folder / "fullchain.pem").write_bytes(certificate.public_bytes(pem))
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain)
    (folder / "privkey.pem").write_bytes(private)
