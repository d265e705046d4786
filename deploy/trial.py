"""What a stranger does in the first minutes, by stopwatch, in a fresh Debian.

    python3 deploy/trial.py FOLDER [PREPARE]

The commands are those of docs/deployment.md. The certificate alone is made here, because nobody owns the
name. Then pushes are answered, the first admin signs in, a backup is taken and restored, and the program is
reloaded.

FOLDER becomes a machine of its own, with systemd. PREPARE is a program that is called with FOLDER before the
clock starts, for a network that needs mirrors or certificates. Needs root, debootstrap, systemd-nspawn, and
ports 80, 443 and 5000 of this machine, whose network is used.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from shlex import quote

PROJECT = Path(__file__).resolve().parent.parent
NAME = "bot.example.com"
ENVIRONMENT = f"PATH={os.environ['PATH']} HOME=/root LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive"
MAKE_CERTIFICATE = f"""
mkdir -p /etc/letsencrypt/live/{NAME}
cd /etc/letsencrypt/live/{NAME}
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN={NAME} \
    -addext subjectAltName=DNS:{NAME} -keyout privkey.pem -out fullchain.pem
cp fullchain.pem /usr/local/share/ca-certificates/trial.crt
update-ca-certificates
"""
FLASK = "runuser -u wechat-bot -- env SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt .venv/bin/flask"
PUSH = FLASK + " wechat push --content 帮助 --url {} | grep 我会这些"
WAIT = f"until curl --fail --silent https://{NAME}/readyz; do sleep 0.1; done"
BACKUPS = "/var/backups/wechat-bot"


@dataclass
class Machine:
    """A machine that runs, and the stopwatch."""

    init: int
    """Process id of its first process."""
    directory: str = "/"
    begin: float = field(default_factory=time.monotonic)

    def run(self, command: str) -> str:
        """Run a command of a shell and return its output.

        :raises subprocess.CalledProcessError: if it fails.
        """
        inside = f"nsenter --all --target={self.init} env -i -C {self.directory} {ENVIRONMENT} sh -ec".split()
        ended = subprocess.run(
            [*inside, command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        if ended.returncode:
            print(ended.stdout)
            ended.check_returncode()
        return ended.stdout

    def step(self, command: str, title: str = "") -> None:
        """Run a command and note how long it took."""
        began = time.monotonic()
        self.run(command)
        self.note(f"{time.monotonic() - began:5.1f} s  {title or command}")

    def note(self, text: str) -> None:
        print(f"{time.monotonic() - self.begin:5.0f} s  {text}", flush=True)


@contextmanager
def booted(folder: Path, prepare: list[str]) -> Iterator[Machine]:
    """Install Debian in `folder`, start it, and stop it at the end."""
    packages = "--include=ca-certificates,curl,dbus,openssl,systemd-sysv"
    _quietly(["debootstrap", "--variant=minbase", packages, "bookworm", str(folder)])
    for program in prepare:
        _quietly([program, str(folder)])
    with (folder / "etc/hosts").open("a") as hosts:
        hosts.write(f"127.0.0.1 {NAME}\n")
    command = ["systemd-nspawn", "-q", "-D", str(folder), "--boot", "--register=no", "--keep-unit"]
    options = ["--resolv-conf=off", f"--bind-ro={PROJECT}:/project"]
    with subprocess.Popen(
        [*command, *options], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
    ) as process:
        machine = Machine(_child(process.pid))
        machine.run("until systemctl is-system-running | grep -E 'running|degraded'; do sleep 0.1; done")
        machine.begin = time.monotonic()
        try:
            yield machine
        finally:
            machine.directory = "/"
            machine.run("systemctl poweroff")


def _quietly(command: list[str]) -> None:
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def _child(pid: int) -> int:
    """Wait for the first process that a process starts."""
    while not (children := Path(f"/proc/{pid}/task/{pid}/children").read_text().split()):
        time.sleep(0.1)
    return int(children[0])


def documented() -> Iterator[str]:
    """Yield the commands for systemd and nginx, as far as the first page that is asked for."""
    _, _, section = (PROJECT / "docs/deployment.md").read_text().partition("\n## systemd and nginx\n")
    for block in re.findall(r"^```sh\n(.*?)^```$", section, re.DOTALL | re.MULTILINE)[:2]:
        for line in block.splitlines():
            yield re.sub(r"\s+# .*", "", line)


def install(machine: Machine) -> None:
    for command in documented():
        if command.startswith("cd "):
            machine.directory = command.removeprefix("cd ")
        elif command.startswith("git clone "):
            machine.step(f"git clone -q /project {command.split()[-1]}")
        elif command.startswith("certbot "):
            machine.step(MAKE_CERTIFICATE, "(a certificate)")
        elif command.startswith("curl "):
            machine.step(WAIT)
        else:
            machine.step(command)


def sign_in(machine: Machine) -> None:
    """Sign the first admin in, as far as the page that asks for a password of the admin's own."""
    log = machine.run("journalctl -u wechat-bot -o cat")
    found = re.search(r"Name (\S+), password (\S+)", log)
    assert found, log
    name, password = found.groups()
    page = _page(machine, "/admin/sign-in")
    token = re.search(r'name="csrf_token" value="([^"]+)"', page)
    assert token, page
    page = _page(machine, "/admin/sign-in", csrf_token=token[1], name=name, password=password)
    assert 'autocomplete="new-password"' in page, page
    machine.note("the first admin is signed in, and asked for another password")


def _page(machine: Machine, path: str, **fields: str) -> str:
    data = " ".join(f"--data-urlencode {quote(f'{name}={value}')}" for name, value in fields.items())
    site = f"https://{NAME}"
    return machine.run(
        f"curl -sSL -H Accept:text/html -b /root/cookies -c /root/cookies -e {site}/ {data} {site}{path}"
    )


def main(folder: str, *prepare: str) -> None:
    with booted(Path(folder), [*prepare]) as machine:
        install(machine)
        for scheme in ("https", "http"):
            machine.step(PUSH.format(f"{scheme}://{NAME}/wechat"))
        sign_in(machine)
        machine.step("systemctl start wechat-bot-backup")
        machine.step(f"systemctl stop wechat-bot; {FLASK} wechat restore --replace --yes {BACKUPS}/*")
        machine.step(f"systemctl start wechat-bot; {WAIT}")
        machine.step(f"systemctl reload wechat-bot; {PUSH.format(f'https://{NAME}/wechat')}")
        print(
            machine.run(
                "systemd-analyze security wechat-bot | tail -1; journalctl -u wechat-bot -o cat -p warning"
            )
        )


if __name__ == "__main__":
    main(*sys.argv[1:])
