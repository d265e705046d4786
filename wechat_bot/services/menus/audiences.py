"""Who sees a conditional menu (matchrule in ``wechat-platform.md`` section 7.3)."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Audience:
    """Followers who have a tag, or use a client, or both; nobody if it has no condition."""

    tag_id: str = ""
    """The platform's number of the tag."""
    client: str = ""
    """The platform's number of the client: 1 for iOS, 2 for Android, 3 for others."""

    @classmethod
    def of(cls, matchrule: Mapping[str, Any] | None) -> Audience:
        """Return what a menu of the platform says."""
        rule = matchrule or {}
        return cls(str(rule.get("tag_id") or ""), str(rule.get("client_platform_type") or ""))

    @property
    def matchrule(self) -> dict[str, str]:
        """The conditions under the platform's names."""
        rule = {"tag_id": self.tag_id, "client_platform_type": self.client}
        return {name: value for name, value in rule.items() if value}

    def __bool__(self) -> bool:
        return bool(self.matchrule)

    def includes(self, tags: Collection[str], client: str) -> bool:
        """Whether a follower with these tags, who uses this client, sees the menu."""
        return bool(self) and (not self.tag_id or self.tag_id in tags) and self.client in {"", client}

    def covers(self, other: Audience) -> bool:
        """Whether everybody whom `other` includes is included here."""
        return bool(self) and self.tag_id in {"", other.tag_id} and self.client in {"", other.client}


EVERYBODY = Audience()
"""Who sees the default menu: everybody for whom no conditional menu is meant."""
CLIENTS = ("1", "2", "3")
