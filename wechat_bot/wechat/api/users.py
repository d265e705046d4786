"""API calls for followers (``wechat-platform.md`` section 7.1)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from ._http import Http
from .values import OpenIDPage, Records, all_openids, convert, convert_field


@dataclass(frozen=True)
class User:
    """A user; one who is not a follower has an `openid` only. `subscribe_time` is Unix time in seconds.

    Since 2021, the platform does not return names.
    """

    openid: str
    subscribe: bool = False
    unionid: str = ""
    subscribe_time: int = 0
    subscribe_scene: str = ""
    qr_scene: int = 0
    qr_scene_str: str = ""
    remark: str = ""
    tagid_list: tuple[int, ...] = ()
    groupid: int = 0
    language: str = ""


@dataclass(frozen=True)
class MovedUser:
    """The new openid for an openid of the former account; empty if there is an error `err_msg`."""

    ori_openid: str
    new_openid: str = ""
    err_msg: str = ""


class Users:
    def __init__(self, http: Http) -> None:
        self._http = http

    def list(self, next_openid: str = "") -> OpenIDPage:
        """Return up to 10 000 followers after `next_openid` (section 7.1, user/get; 500 calls a day)."""
        return OpenIDPage.of(self._http.get("/cgi-bin/user/get", {"next_openid": next_openid}))

    def iter_openids(self, start: str = "") -> Iterator[str]:
        """Iterate over all followers after `start` (section 7.1, user/get)."""
        return all_openids(self.list, start)

    def get(self, openid: str, lang: str = "zh_CN") -> User:
        """Return a user, who need not be a follower (section 7.1, user/info).

        :raises NotFollowing: if `openid` belongs to another account.
        """
        return convert(User, self._http.get("/cgi-bin/user/info", {"openid": openid, "lang": lang}))

    def batch(self, openids: Iterable[str], lang: str = "zh_CN") -> Records[User]:
        """Return up to 100 users (section 7.1, user/info/batchget)."""
        wanted = [{"openid": openid, "lang": lang} for openid in openids]
        answer = self._http.post("/cgi-bin/user/info/batchget", {"user_list": wanted}, idempotent=True)
        return convert_field(Records[User], answer, "user_info_list")

    def set_remark(self, openid: str, remark: str) -> None:
        """Set the remark for a follower, of less than 30 bytes (section 7.1, user/info/updateremark)."""
        body = {"openid": openid, "remark": remark}
        self._http.post("/cgi-bin/user/info/updateremark", body, idempotent=True)

    def moved(self, from_app_id: str, openids: Iterable[str]) -> Records[MovedUser]:
        """Return the new openids for up to 100 openids of a migrated account (section 7.1, changeopenid)."""
        body = {"from_appid": from_app_id, "openid_list": list(openids)}
        answer = self._http.post("/cgi-bin/changeopenid", body, idempotent=True)
        return convert_field(Records[MovedUser], answer, "result_list")
