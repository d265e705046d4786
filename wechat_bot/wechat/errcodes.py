"""Explanations of the platform's error codes, with remedies (``wechat-platform.md`` section 8).

The texts are in the tables ``errcodes.tsv`` and ``remedies.tsv`` beside this module.
"""

from __future__ import annotations

import csv
import ipaddress
import re
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class BilingualText:
    zh: str
    en: str


@dataclass(frozen=True)
class Explanation:
    meaning: BilingualText
    remedy: BilingualText


def explain(errcode: int, errmsg: str = "") -> Explanation:
    """Return the explanation of `errcode`. Of `errmsg`, only the IP address in a 40164 is included."""
    known = _CATALOGUE.get(errcode)
    if known is None:
        meaning = BilingualText(
            f"本程序不认识的错误码 {errcode}", f"Error code {errcode}, which this program does not know"
        )
        return Explanation(meaning, _REMEDIES["look_up"])
    if errcode == 40164 and (address := _address(errmsg)):
        remedy = BilingualText(
            f"在公众平台“设置与开发 → 开发接口管理 → IP白名单”中加入 {address}。",
            f"Add {address} to the IP white list in the platform's console.",
        )
        return Explanation(known.meaning, remedy)
    return known


def _address(errmsg: str) -> str:
    """Return the IP address in ``invalid ip 203.0.113.9 ipv6 ::ffff:203.0.113.9, not in whitelist``."""
    for word in re.findall(r"[0-9A-Fa-f:.]*[:.][0-9A-Fa-f:.]+", errmsg):
        try:
            found = ipaddress.ip_address(word.rstrip("."))
        except ValueError:
            continue
        mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
        return str(mapped or found)
    return ""


def _table(name: str) -> list[dict[str, str]]:
    with Path(__file__).with_name(name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, dialect="excel-tab"))


_REMEDIES = {row["name"]: BilingualText(row["zh"], row["en"]) for row in _table("remedies.tsv")}
_CATALOGUE = {
    int(row["errcode"]): Explanation(BilingualText(row["zh"], row["en"]), _REMEDIES[row["remedy"]])
    for row in _table("errcodes.tsv")
}
