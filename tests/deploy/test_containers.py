"""The image and the compose files in ``deploy/``, as far as they can be read. No container runs here."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy.proxies import DEPLOY
from wechat_bot.env_file import load_settings

COMPOSE = ["compose.yaml", "compose.scale.yaml"]
ROOT = DEPLOY.parent


def instructions() -> list[tuple[str, str]]:
    """Return the instructions of the Containerfile with their arguments."""
    text = (DEPLOY / "Containerfile").read_text()
    lines = re.sub(r"\\\n\s*", "", re.sub(r"^#.*\n", "", text, flags=re.MULTILINE)).splitlines()
    return [(name, rest) for name, _, rest in (line.partition(" ") for line in lines) if name]


def final_stage() -> dict[str, str]:
    """Return the instructions of the stage that becomes the image, each once, with all its arguments."""
    stage: dict[str, str] = {}
    for name, rest in instructions():
        if name == "FROM":
            stage = {}
        stage[name] = f"{stage[name]}\n{rest}" if name in stage else rest
    return stage


def test_the_image_has_no_build_tools_and_no_root() -> None:
    stage = final_stage()
    assert not re.search(r"\b(pip|venv|gcc|make|git|build-essential|\S+-dev)\b", stage["RUN"])
    assert int(stage["USER"]) > 0
    assert "/readyz" in stage["HEALTHCHECK"]


def test_all_packages_are_checked_by_their_hashes() -> None:
    installs = [step for _, rest in instructions() for step in rest.split("&&") if "pip install" in step]
    assert [
        "--require-hashes" in step or "--no-deps --no-build-isolation -e ." in step for step in installs
    ] == [True] * 2


def test_what_the_image_copies_exists() -> None:
    copied = [rest.split()[:-1] for name, rest in instructions() if name == "COPY" and "--from" not in rest]
    missing = [source for sources in copied for source in sources if not (ROOT / source).exists()]
    assert missing == []


def services(file: str) -> dict[str, dict[str, Any]]:
    parsed: dict[str, dict[str, dict[str, Any]]] = yaml.safe_load((DEPLOY / file).read_text())
    return parsed["services"]


def test_the_compose_files_have_the_form_of_their_specification() -> None:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec"]
    files = [str(DEPLOY / file) for file in COMPOSE]
    checked = subprocess.run([*command, *files], capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout


@pytest.mark.parametrize("file", COMPOSE)
def test_every_container_is_confined(file: str) -> None:
    for service in services(file).values():
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert "privileged" not in service


@pytest.mark.parametrize("file", COMPOSE)
def test_the_proxy_alone_is_reached_from_outside(file: str) -> None:
    assert [name for name, service in services(file).items() if "ports" in service] == ["caddy"]


def test_the_new_settings_start_a_program_in_production(tmp_path: Path) -> None:
    made = subprocess.run(
        [DEPLOY / "new-settings", "bot.example.com"], capture_output=True, text=True, check=True
    )
    (tmp_path / ".env").write_text(made.stdout)
    settings = load_settings(tmp_path / ".env", {})
    assert settings.app_env == "production"
    assert settings.public_url == "https://bot.example.com"
    assert settings.trusted_proxies == 1
    assert not settings.token_is_weak
    assert len(settings.secret_key) == 64
