"""API calls for customer-service agents, their sessions and records (``wechat-platform.md`` section 7.5)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ._http import File, Http
from .values import Records, convert, convert_field


@dataclass(frozen=True)
class Agent:
    """A customer-service agent.

    `kf_wx` is the bound WeChat user. If there is none, the ``invite`` fields describe the invitation.
    """

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
    """An agent who is on-line, with the number of current sessions, `accepted_case`."""

    kf_account: str
    status: int = 0
    kf_id: str = ""
    accepted_case: int = 0


@dataclass(frozen=True)
class Session:
    """The session of a follower with an agent since `createtime` (Unix time in seconds)."""

    createtime: int = 0
    kf_account: str = ""
    openid: str = ""


@dataclass(frozen=True)
class Waiting:
    """A follower who waits for an agent. `latest_time` is Unix time in seconds."""

    openid: str
    latest_time: int = 0


@dataclass(frozen=True)
class WaitingList:
    """The first 100 of `count` waiting followers."""

    count: int
    waitcaselist: Records[Waiting] = Records()


@dataclass(frozen=True)
class Record:
    """A message. `opercode` is 2002 (sent by agent `worker`) or 2003 (received); `time` is in seconds."""

    openid: str
    opercode: int
    text: str = ""
    time: int = 0
    worker: str = ""


@dataclass(frozen=True)
class RecordPage:
    """A page of `number` records; the next page begins at `msgid`."""

    number: int
    msgid: int
    recordlist: Records[Record] = Records()


class KfAccount:
    def __init__(self, http: Http) -> None:
        self._http = http

    def list(self) -> Records[Agent]:
        """Return all agents (section 7.5, customservice/getkflist)."""
        return convert_field(Records[Agent], self._http.get("/cgi-bin/customservice/getkflist"), "kf_list")

    def online(self) -> Records[OnlineAgent]:
        """Return the agents that are on-line (section 7.5, customservice/getonlinekflist)."""
        answer = self._http.get("/cgi-bin/customservice/getonlinekflist")
        return convert_field(Records[OnlineAgent], answer, "kf_online_list")

    def add(self, kf_account: str, nickname: str) -> None:
        """Add an agent; `kf_account` is ``prefix@wechat_id`` (section 7.5, kfaccount/add)."""
        self._http.post("/customservice/kfaccount/add", {"kf_account": kf_account, "nickname": nickname})

    def update(self, kf_account: str, nickname: str) -> None:
        """Change the nickname of an agent (section 7.5, kfaccount/update)."""
        body = {"kf_account": kf_account, "nickname": nickname}
        self._http.post("/customservice/kfaccount/update", body, idempotent=True)

    def delete(self, kf_account: str) -> None:
        """Delete an agent (section 7.5, kfaccount/del)."""
        self._http.post("/customservice/kfaccount/del", {"kf_account": kf_account})

    def set_picture(self, kf_account: str, picture: File) -> None:
        """Set an agent's avatar, a JPG or PNG of at most 5 MB (section 7.5, kfaccount/uploadheadimg)."""
        self._http.upload("/customservice/kfaccount/uploadheadimg", picture, {"kf_account": kf_account})

    def invite(self, kf_account: str, invite_wx: str) -> None:
        """Invite a WeChat user to become the agent (section 7.5, kfaccount/inviteworker)."""
        body = {"kf_account": kf_account, "invite_wx": invite_wx}
        self._http.post("/customservice/kfaccount/inviteworker", body)

    def open_session(self, kf_account: str, openid: str) -> None:
        """Start a session of a follower with an agent who is on-line (section 7.5, kfsession/create)."""
        self._http.post("/customservice/kfsession/create", {"kf_account": kf_account, "openid": openid})

    def close_session(self, kf_account: str, openid: str) -> None:
        """End a session (section 7.5, kfsession/close)."""
        self._http.post("/customservice/kfsession/close", {"kf_account": kf_account, "openid": openid})

    def session(self, openid: str) -> Session:
        """Return a follower's session; `kf_account` is empty if there is none (section 7.5,
        kfsession/getsession)."""
        return convert(Session, self._http.get("/customservice/kfsession/getsession", {"openid": openid}))

    def sessions(self, kf_account: str) -> Records[Session]:
        """Return an agent's current sessions (section 7.5, kfsession/getsessionlist)."""
        answer = self._http.get("/customservice/kfsession/getsessionlist", {"kf_account": kf_account})
        return convert_field(Records[Session], answer, "sessionlist")

    def waiting(self) -> WaitingList:
        """Return the followers who wait for an agent (section 7.5, kfsession/getwaitcase)."""
        return convert(WaitingList, self._http.get("/customservice/kfsession/getwaitcase"))

    def records(self, starttime: int, endtime: int, msgid: int = 1, number: int = 10_000) -> RecordPage:
        """Return up to `number` messages, starting at `msgid` (section 7.5, msgrecord/getmsglist).

        `starttime` and `endtime` are Unix times in seconds, at most 24 hours apart.
        """
        body = {"starttime": starttime, "endtime": endtime, "msgid": msgid, "number": number}
        answer = self._http.post("/customservice/msgrecord/getmsglist", body, idempotent=True)
        return convert(RecordPage, answer)

    def iter_records(self, starttime: int, endtime: int, number: int = 10_000) -> Iterator[Record]:
        """Iterate over all messages of at most 24 hours, in pages of `number` (section 7.5,
        msgrecord/getmsglist)."""
        msgid = 1
        while True:
            page = self.records(starttime, endtime, msgid, number)
            yield from page.recordlist
            if page.number < number or page.msgid == msgid:
                return
            msgid = page.msgid
