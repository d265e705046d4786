"""Customer-service agents and their sessions (section 7.5)."""

from __future__ import annotations

import re

from ..state import SimulatedAgent, SimulatedSession
from .call import Answer, Area, CallRefused, Family, SimulatedCall, find, refuse_if
from .media import check_image

family = Family(Area.AGENTS)

_ACCOUNT = re.compile(r"([A-Za-z0-9]{1,10})@[A-Za-z0-9_-]{1,30}")


@family.get("/cgi-bin/customservice/getkflist")
def list_agents(call: SimulatedCall) -> Answer:
    return {"kf_list": [_as_listed(call, agent) for agent in call.state.agents]}


def _as_listed(call: SimulatedCall, agent: SimulatedAgent) -> dict[str, object]:
    fields: dict[str, object] = {
        "kf_account": agent.kf_account,
        "kf_nick": agent.nickname,
        "kf_id": str(agent.kf_id),
        "kf_headimgurl": agent.headimg,
    }
    if agent.invite_wx:
        fields |= {
            "invite_wx": agent.invite_wx,
            "invite_expire_time": int(call.now) + 86400,
            "invite_status": "waiting",
        }
    return fields


@family.get("/cgi-bin/customservice/getonlinekflist")
def list_online(call: SimulatedCall) -> Answer:
    """All simulated agents are online."""
    accounts = [session.kf_account for session in call.state.sessions.values()]
    return {
        "kf_online_list": [
            {
                "kf_account": agent.kf_account,
                "status": 1,
                "kf_id": str(agent.kf_id),
                "accepted_case": accounts.count(agent.kf_account),
            }
            for agent in call.state.agents
        ]
    }


_AGENT = {"kf_account": str, "nickname": str, "password?": str}


@family.post("/customservice/kfaccount/add", _AGENT)
def add(call: SimulatedCall) -> None:
    account = call.body["kf_account"]
    refuse_if(not _ACCOUNT.fullmatch(account), 65404)
    refuse_if(any(agent.kf_account == account for agent in call.state.agents), 65406)
    refuse_if(len(call.state.agents) >= 100, 65405)
    call.state.agents.append(SimulatedAgent(account, _nickname(call), call.state.new_id()))


@family.post("/customservice/kfaccount/update", _AGENT)
def update(call: SimulatedCall) -> None:
    _agent(call, call.body["kf_account"]).nickname = _nickname(call)


@family.post("/customservice/kfaccount/del", {"kf_account": str})
def delete(call: SimulatedCall) -> None:
    call.state.agents.remove(_agent(call, call.body["kf_account"]))


@family.post("/customservice/kfaccount/uploadheadimg", query={"kf_account": str}, uploads=True)
def upload_picture(call: SimulatedCall) -> None:
    agent = _agent(call, call.query["kf_account"])
    check_image(call, {"jpg", "png"}, 5 * 1024 * 1024)
    agent.headimg = f"http://mmbiz.qpic.cn/kf/{agent.kf_id}/0"


@family.post("/customservice/kfaccount/inviteworker", {"kf_account": str, "invite_wx": str})
def invite(call: SimulatedCall) -> None:
    agent = _agent(call, call.body["kf_account"])
    refuse_if(agent.invite_wx, 65410)
    agent.invite_wx = call.body["invite_wx"]


@family.post("/customservice/kfsession/create", {"kf_account": str, "openid": str, "text?": str})
def open_session(call: SimulatedCall) -> None:
    agent, follower = _agent(call, call.body["kf_account"]), call.follower(call.body["openid"])
    session = call.state.sessions.get(follower.openid)
    refuse_if(session and session.kf_account != agent.kf_account, 65414)
    call.state.sessions[follower.openid] = SimulatedSession(agent.kf_account, int(call.now))
    call.schedule_event("kf_create_session", follower.openid, 0, KfAccount=agent.kf_account)


@family.post("/customservice/kfsession/close", {"kf_account": str, "openid": str, "text?": str})
def close_session(call: SimulatedCall) -> None:
    openid = call.body["openid"]
    session = call.state.sessions.get(openid)
    if session is None or session.kf_account != call.body["kf_account"]:
        raise CallRefused(65413)
    del call.state.sessions[openid]
    call.schedule_event("kf_close_session", openid, 0, KfAccount=session.kf_account)


@family.get("/customservice/kfsession/getsession", {"openid": str})
def session_of(call: SimulatedCall) -> Answer:
    follower = call.follower(call.query["openid"])
    session = call.state.sessions.get(follower.openid, SimulatedSession("", 0))
    return {"createtime": session.createtime, "kf_account": session.kf_account}


@family.get("/customservice/kfsession/getsessionlist", {"kf_account": str})
def list_sessions(call: SimulatedCall) -> Answer:
    agent = _agent(call, call.query["kf_account"])
    return {
        "sessionlist": [
            {"createtime": session.createtime, "openid": openid}
            for openid, session in call.state.sessions.items()
            if session.kf_account == agent.kf_account
        ]
    }


@family.get("/customservice/kfsession/getwaitcase")
def list_waiting(call: SimulatedCall) -> Answer:
    return {"count": 0, "waitcaselist": []}


@family.post(
    "/customservice/msgrecord/getmsglist", {"starttime": int, "endtime": int, "msgid": int, "number": int}
)
def records(call: SimulatedCall) -> Answer:
    """Return messages that were sent on behalf of agents. `msgid` is the number of the first, from 1."""
    start, end, first, number = (int(call.body[name]) for name in ("starttime", "endtime", "msgid", "number"))
    refuse_if(end - start > 86400, 65417)
    refuse_if(not (1 <= number <= 10_000 and first >= 1 and start <= end), 65416)
    sent = [
        {
            "openid": message.openid,
            "opercode": 2002,
            "text": message.body.get("text", {}).get("content", ""),
            "time": int(message.at),
            "worker": message.body["customservice"]["kf_account"],
        }
        for message in call.state.sent
        if "customservice" in message.body and start <= message.at <= end
    ][first - 1 : first - 1 + number]
    return {"recordlist": sent, "number": len(sent), "msgid": first + len(sent)}


def _nickname(call: SimulatedCall) -> str:
    nickname: str = call.body["nickname"]
    refuse_if(not 1 <= len(nickname) <= 16, 65403)
    return nickname


def _agent(call: SimulatedCall, account: str) -> SimulatedAgent:
    return find((agent for agent in call.state.agents if agent.kf_account == account), 65401)
