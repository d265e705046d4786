"""API calls for tags of followers and the blacklist (``wechat-platform.md`` section 7.2)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from ._http import Http
from .values import OpenIDPage, Records, all_openids, convert, convert_field


@dataclass(frozen=True)
class Tag:
    """A tag, which `count` followers have. The ids 0, 1 and 2 are reserved by the platform."""

    id: int
    name: str
    count: int = 0


class Tags:
    def __init__(self, http: Http) -> None:
        self._http = http

    def list(self) -> Records[Tag]:
        """Return all tags (section 7.2, tags/get)."""
        return convert_field(Records[Tag], self._http.get("/cgi-bin/tags/get"), "tags")

    def create(self, name: str) -> Tag:
        """Create one of at most 100 tags; `name` has up to 30 characters (section 7.2, tags/create)."""
        return convert(Tag, self._http.post("/cgi-bin/tags/create", {"tag": {"name": name}}).get("tag"))

    def rename(self, tag_id: int, name: str) -> None:
        """Rename a tag (section 7.2, tags/update)."""
        self._http.post("/cgi-bin/tags/update", {"tag": {"id": tag_id, "name": name}}, idempotent=True)

    def delete(self, tag_id: int) -> None:
        """Delete a tag, which at most 100 000 followers may have (section 7.2, tags/delete)."""
        self._http.post("/cgi-bin/tags/delete", {"tag": {"id": tag_id}})

    def tag(self, tag_id: int, openids: Iterable[str]) -> None:
        """Add a tag to up to 50 followers (section 7.2, tags/members/batchtagging)."""
        self._post_openids("/cgi-bin/tags/members/batchtagging", openids, tagid=tag_id)

    def untag(self, tag_id: int, openids: Iterable[str]) -> None:
        """Remove a tag from up to 50 followers (section 7.2, tags/members/batchuntagging)."""
        self._post_openids("/cgi-bin/tags/members/batchuntagging", openids, tagid=tag_id)

    def of(self, openid: str) -> tuple[int, ...]:
        """Return the ids of a follower's tags (section 7.2, tags/getidlist)."""
        answer = self._http.post("/cgi-bin/tags/getidlist", {"openid": openid}, idempotent=True)
        return convert_field(tuple[int, ...], answer, "tagid_list")

    def openids(self, tag_id: int, next_openid: str = "") -> OpenIDPage:
        """Return followers with a tag, after `next_openid` (section 7.2, user/tag/get).

        `OpenIDPage.total` is the number of openids in this page.
        """
        body = {"tagid": tag_id, "next_openid": next_openid}
        return OpenIDPage.of(self._http.post("/cgi-bin/user/tag/get", body, idempotent=True))

    def iter_openids(self, tag_id: int, start: str = "") -> Iterator[str]:
        """Iterate over all followers with a tag, after `start` (section 7.2, user/tag/get)."""
        return all_openids(lambda after: self.openids(tag_id, after), start)

    def blacklist(self, begin_openid: str = "") -> OpenIDPage:
        """Return users on the blacklist, after `begin_openid` (section 7.2, tags/members/getblacklist)."""
        body = {"begin_openid": begin_openid}
        return OpenIDPage.of(self._http.post("/cgi-bin/tags/members/getblacklist", body, idempotent=True))

    def iter_blacklist(self, start: str = "") -> Iterator[str]:
        """Iterate over all users on the blacklist, after `start` (section 7.2, tags/members/getblacklist)."""
        return all_openids(self.blacklist, start)

    def block(self, openids: Iterable[str]) -> None:
        """Add up to 20 users to the blacklist (section 7.2, tags/members/batchblacklist)."""
        self._post_openids("/cgi-bin/tags/members/batchblacklist", openids)

    def unblock(self, openids: Iterable[str]) -> None:
        """Remove up to 20 users from the blacklist (section 7.2, tags/members/batchunblacklist)."""
        self._post_openids("/cgi-bin/tags/members/batchunblacklist", openids)

    def _post_openids(self, path: str, openids: Iterable[str], **more: int) -> None:
        self._http.post(path, {"openid_list": list(openids), **more}, idempotent=True)
