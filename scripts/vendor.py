"""Downloads third-party front-end files with npm, as the manifests beside them say.

Run it after a change of a version or of the list of icons: ``python scripts/vendor.py``. Needs npm.
"""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
import tarfile
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

ROOT = Path(__file__).parent.parent
FOLDERS = (ROOT / "wechat_bot" / "static" / "vendor", ROOT / "tests" / "e2e" / "vendor")
ICONS = "@tabler/icons"
EMOJI = "emoji-picker-element-data"
COMPONENTS = 2
"""The group of the parts of emoji: skin tones and hair."""


def main() -> None:
    for folder in FOLDERS:
        update(folder, folder / "manifest.json")


def update(vendor: Path, manifest_file: Path) -> None:
    manifest = json.loads(manifest_file.read_text(encoding="utf-8"))
    for name, package in manifest["packages"].items():
        with TemporaryDirectory() as folder, fetched(name, package["version"], folder) as archive:
            for source, target in package["files"].items():
                (vendor / target).write_bytes(read(archive, source))
            if name == ICONS:
                (vendor / "icons.svg").write_text(sprite(archive, manifest["icons"]), encoding="utf-8")
            if name == EMOJI:
                (vendor / "emoji.json").write_text(emoji(archive), encoding="utf-8")
    files = sorted(path for path in vendor.iterdir() if path != manifest_file)
    manifest["sha256"] = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
    manifest_file.write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")


def fetched(name: str, version: str, folder: str) -> tarfile.TarFile:
    """Download a package and open its archive."""
    command = ["npm", "pack", f"{name}@{version}", "--silent", "--pack-destination", folder]
    archive = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
    return tarfile.open(Path(folder) / archive)


def read(archive: tarfile.TarFile, path: str) -> bytes:
    file = archive.extractfile(f"package/{path}")
    if file is None:
        sys.exit(f"{path} is no file of the package")
    return file.read()


def sprite(archive: tarfile.TarFile, names: list[str]) -> str:
    """Combine the icons into one SVG file; a page shows one by ``<use href="icons.svg#name">``."""
    symbols = []
    for name in sorted(names):
        svg = read(archive, f"icons/outline/{name}.svg").decode()
        shapes = re.sub(r'<path stroke="none"[^>]*/>', "", re.search(r"<svg[^>]*>(.*)</svg>", svg, re.S)[1])
        symbols.append(f'<symbol id="{name}" viewBox="0 0 24 24">{" ".join(shapes.split())}</symbol>')
    return '<svg xmlns="http://www.w3.org/2000/svg">\n' + "\n".join(symbols) + "\n</svg>\n"


def emoji(archive: tarfile.TarFile) -> str:
    """Return emoji in Unicode's order, with their groups and their Chinese and English words, names first."""
    zh, en = (json.loads(read(archive, f"{language}/emojibase/data.json")) for language in ("zh", "en"))
    english = {each["emoji"]: each for each in en}
    lines = [
        [each["emoji"], each["group"], words(each), words(english[each["emoji"]])]
        for each in zh
        if each["group"] != COMPONENTS
    ]
    return "[\n" + ",\n".join(json.dumps(line, ensure_ascii=False) for line in lines) + "\n]\n"


def words(entry: dict[str, Any]) -> str:
    return "|".join(dict.fromkeys([entry["annotation"], *entry["tags"]]))


if __name__ == "__main__":
    main()
