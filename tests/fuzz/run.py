"""``make fuzz TARGET=parse SECONDS=600``: looks for bytes that a target of `tests.fuzz.targets` fails for.

atheris calls the target with ever other bytes, and keeps those that reach new branches of the program in
``.cache/fuzz/``, where the next run begins. What made the target fail goes to ``findings/``, where
`test_findings` tries it in each run of the tests.
"""

from __future__ import annotations

import sys
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["wechat_bot.wechat", "wechat_bot.services.search", "xmltodict"]):
    from tests.fuzz.targets import TARGETS
    from tests.wechat.corpus import BODIES, body

FINDINGS = Path(__file__).parent / "findings"
CACHE = Path(".cache/fuzz")
SEEDS = {
    "decrypt": [b"\0" * 16 + b"\0\0\0\1a" + b"wx0123456789abcdef"],
    "query": ['q=退款 "订单 号"&kind=text&from=2026-11-01\0订单 号是 138 0000 0000，要退款'.encode()],
}


def main(name: str, seconds: str) -> None:
    corpus, findings = CACHE / name, FINDINGS / name
    for folder in (corpus, findings):
        folder.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(SEEDS.get(name) or [body(each) for each in BODIES]):
        (corpus / f"seed-{number}").write_bytes(seed)
    options = [f"-max_total_time={seconds}", f"-artifact_prefix={findings}/", "-max_len=4096", "-timeout=5"]
    atheris.Setup([sys.argv[0], str(corpus), str(findings), *options], TARGETS[name])
    atheris.Fuzz()


if __name__ == "__main__":
    main(*sys.argv[1:])
