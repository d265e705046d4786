"""The lists of exact versions, and the bill of materials that is made of them."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.server.conftest import ROOT

LISTS = ["requirements.txt", "constraints.txt"]


def pins(name: str) -> dict[str, str]:
    """Return each line ``name==version``, with its condition if it has one, and the hashes below it."""
    text = (ROOT / name).read_text().replace(" \\\n", "\n")
    return dict(re.findall(r"^(\S.*)\n((?:    --hash=sha256:[0-9a-f]{64}\n)*)", text, re.MULTILINE))


@pytest.mark.parametrize("name", LISTS)
def test_every_package_has_a_version_and_hashes_and_no_host(name: str) -> None:
    assert pins(name)
    assert [line for line, hashes in pins(name).items() if "==" not in line or not hashes] == []
    assert "://" not in (ROOT / name).read_text()


def test_the_program_and_its_tests_have_the_same_versions() -> None:
    assert pins("requirements.txt").items() <= pins("constraints.txt").items()


def test_the_lists_have_what_the_project_needs() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    needed = {
        "requirements.txt": project["dependencies"],
        "constraints.txt": [*project["dependencies"], *(line for extra in extras.values() for line in extra)],
    }
    for name, lines in needed.items():
        listed = dict(line.partition(" ")[0].split("==") for line in pins(name))
        for requirement in map(Requirement, lines):
            if requirement.name != project["name"]:
                assert listed[canonicalize_name(requirement.name)] in requirement.specifier, requirement


def test_the_bill_of_materials_has_the_locked_versions(tmp_path: Path) -> None:
    for file in ("Makefile", "pyproject.toml", "requirements.txt"):
        shutil.copy(ROOT / file, tmp_path)
    (tmp_path / ".venv").symlink_to(sys.prefix)
    subprocess.run(["make", "-s", "-o", ".venv/dev", "sbom"], cwd=tmp_path, check=True)
    components = json.loads((tmp_path / "build/sbom.json").read_text())["components"]
    listed = sorted(f"{component['name']}=={component['version']}" for component in components)
    assert listed == sorted(line.partition(" ")[0] for line in pins("requirements.txt"))
    assert all(component["externalReferences"][0]["hashes"] for component in components)
