"""Agents of the customer-service desk, their sessions and records (``wechat-platform.md`` section 7.5)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ._http import File, Http
from .values import read


@dataclass(frozen=True)
class Agent:
    """`kf_wx` is the bound WeChat user; while there is none, the ``invite`` fields tell of the invitation."""

    kf_account: str
    kf_nick: str = ""
    kf_id: str = ""
    kf_headimgurl: str = ""
    kf_wx: str = ""
    invite_wx: str = ""
    invite_expire_time: int = 0
    invite_status: str = ""


@dataclass(frozen=True)
class OnlineAgent:
    """`accepted_case` sessions are being served."""

    kf_account: str
    status: int = 0
    kf_id: str = ""
    accepted_case: int = 0


@dataclass(frozen=True)
class Session:
    """A follower served by an agent since `createtime` (seconds since 1970)."""

    createtime: int = 0
    kf_account: str = ""
    openid: str = ""


@dataclass(frozen=True)
class Waiting:
    """A follower who waits for an agent; `latest_time` is in seconds since 1970."""

    openid: str
    latest_time: int = 0


@dataclass(frozen=True)
class WaitingList:
    """The first 100 of `count` that wait."""

    count: int
    waitcaselist: tuple[Waiting, ...] = ()


@dataclass(frozen=True)
class Record:
    """A message of the desk: `opercode` 2002 sent by agent `worker`, 2003 received; `time` in seconds."""

    openid: str
    opercode: int
    text: str = ""
    time: int = 0
    worker: str = ""


@dataclass(frozen=True)
class RecordPage:
    """`number` records; the next page begins at `msgid`."""

    number: int
    msgid: int
    recordlist: tuple[Record, ...] = ()


class KfAccount:
    def __init__(self, http: Http) -> None:
        self._http = http

    def list(self) -> tuple[Agent, ...]:
        """All agents (section 7.5, customservice/getkflist)."""
        answer = self._http.get("/cgi-bin/customservice/getkflist")
        return read(tuple[Agent, ...], answer.get("kf_list"), "kf_list")

    def online(self) -> tuple[OnlineAgent, ...]:
        """The agents that are on-line (section 7.5, customservice/getonlinekflist)."""
        answer = self._http.get("/cgi-bin/customservice/getonlinekflist")
        return read(tuple[OnlineAgent, ...], answer.get("kf_online_list"), "kf_online_list")

    def add(self, kf_account: str, nickname: str) -> None:
        """A new agent, named ``prefix@wechat_id`` (section 7.5, kfaccount/add)."""
        self._http.post("/customservice/kfaccount/add", {"kf_account": kf_account, "nickname": nickname})

    def update(self, kf_account: str, nickname: str) -> None:
        """Give an agent another nickname (section 7.5, kfaccount/update)."""
        body = {"kf_account": kf_account, "nickname": nickname}
        self._http.post("/customservice/kfaccount/update", body, idempotent=True)

    def delete(self, kf_account: str) -> None:
        """Delete an agent (section 7.5, kfaccount/del)."""
        self._http.post("/customservice/kfaccount/del", {"kf_account": kf_account})

    def set_picture(self, kf_account: str, picture: File) -> None:
        """An agent's avatar, JPG or PNG of at most 5 MB (section 7.5, kfaccount/uploadheadimg)."""
        self._http.upload("/customservice/kfaccount/uploadheadimg", picture, {"kf_account": kf_account})

    def invite(self, kf_account: str, invite_wx: str) -> None:
        """Invite a WeChat user to be the agent (section 7.5, kfaccount/inviteworker)."""
        body = {"kf_account": kf_account, "invite_wx": invite_wx}
        self._http.post("/customservice/kfaccount/inviteworker", body)

    def open_session(self, kf_account: str, openid: str) -> None:
        """Let an agent who is on-line serve a follower (section 7.5, kfsession/create)."""
        self._http.post("/customservice/kfsession/create", {"kf_account": kf_account, "openid": openid})

    def close_session(self, kf_account: str, openid: str) -> None:
        """End a session (section 7.5, kfsession/close)."""
        self._http.post("/customservice/kfsession/close", {"kf_account": kf_account, "openid": openid})

    def session(self, openid: str) -> Session:
        """Who serves a follower; no `kf_account` if nobody (section 7.5, kfsession/getsession)."""
        return read(Session, self._http.get("/customservice/kfsession/getsession", {"openid": openid}))

    def sessions(self, kf_account: str) -> tuple[Session, ...]:
        """Whom an agent serves (section 7.5, kfsession/getsessionlist)."""
        answer = self._http.get("/customservice/kfsession/getsessionlist", {"kf_account": kf_account})
        return read(tuple[Session, ...], answer.get("sessionlist"), "sessionlist")

    def waiting(self) -> WaitingList:
        """Who waits for an agent (section 7.5, kfsession/getwaitcase)."""
        return read(WaitingList, self._http.get("/customservice/kfsession/getwaitcase"))

    def records(self, starttime: int, endtime: int, msgid: int = 1, number: int = 10_000) -> RecordPage:
        """Messages of the desk from `msgid` on, within at most 24 h; both times in seconds since 1970
        (section 7.5, msgrecord/getmsglist)."""
        body = {"starttime": starttime, "endtime": endtime, "msgid": msgid, "number": number}
        answer = self._http.post("/customservice/msgrecord/getmsglist", body, idempotent=True)
        return read(RecordPage, answer)

    def iter_records(self, starttime: int, endtime: int, number: int = 10_000) -> Iterator[Record]:
        """All messages of the desk within 24 h, `number` a page (section 7.5, msgrecord/getmsglist)."""
        msgid = 1
        while True:
            page = self.records(starttime, endtime, msgid, number)
            yield from page.recordlist
            if page.number < number or page.msgid == msgid:
                return
            msgid = page.msgid
