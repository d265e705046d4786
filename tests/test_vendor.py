"""Front-end files of other projects are what their manifest says."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import pytest

import wechat_bot

PACKAGE = Path(wechat_bot.__file__).parent
VENDOR = PACKAGE / "static" / "vendor"
FOLDERS = [VENDOR, Path(__file__).parent / "e2e" / "vendor"]


def manifest_of(folder: Path) -> Any:
    return json.loads((folder / "manifest.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("folder", FOLDERS)
def test_every_file_has_the_hash_of_the_manifest_and_no_other_file_is_there(folder: Path) -> None:
    found = {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.iterdir()
        if path.name != "manifest.json"
    }
    assert found == manifest_of(folder)["sha256"]


@pytest.mark.parametrize("folder", FOLDERS)
def test_every_package_has_a_version_and_a_licence(folder: Path) -> None:
    for package in manifest_of(folder)["packages"].values():
        assert re.fullmatch(r"\d+\.\d+\.\d+", package["version"])
        assert package["licence"] in {"MIT", "0BSD", "MPL-2.0", "Apache-2.0"}


def test_every_icon_that_a_page_names_is_there() -> None:
    templates = "".join(path.read_text(encoding="utf-8") for path in PACKAGE.rglob("*.html"))
    named = set(re.findall(r"icon\('([\w-]+)'", templates))
    assert named, "the pages show icons"
    assert named <= set(manifest_of(VENDOR)["icons"])
    sprite = (VENDOR / "icons.svg").read_text(encoding="utf-8")
    assert set(re.findall(r'<symbol id="([\w-]+)"', sprite)) == set(manifest_of(VENDOR)["icons"])


def test_vendored_styles_load_nothing_from_elsewhere() -> None:
    styles = (VENDOR / "tabler.min.css").read_text(encoding="utf-8")
    assert not re.findall(r"url\(\s*['\"]?(?:https?:)?//", styles)
    assert "@import" not in styles
