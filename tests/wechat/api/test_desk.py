"""Agents and comments: what is sent and what is made of the answer (sections 7.5 and 7.16)."""

from __future__ import annotations

import json

import pytest

from tests.wechat.api.recorded import OK, OPENID, Recorded, Row, check, named
from wechat_bot.wechat.api.comments import Comment, CommentReply
from wechat_bot.wechat.api.kfaccount import (
    Agent,
    OnlineAgent,
    Record,
    RecordPage,
    Session,
    Waiting,
    WaitingList,
)
from wechat_bot.wechat.api.values import Page, Records

ANNA = "anna@example_wx"
RECORD = {"openid": OPENID, "opercode": 2002, "text": "您好", "time": 1767225600, "worker": ANNA}

AGENTS: list[Row] = [
    (
        lambda client: client.kfaccount.list(),
        "GET /cgi-bin/customservice/getkflist",
        {},
        None,
        {
            "kf_list": [
                {"kf_account": ANNA, "kf_nick": "安娜", "kf_id": 1001, "kf_headimgurl": "u", "kf_wx": "w"},
                {
                    "kf_account": "b@x",
                    "kf_nick": "b",
                    "kf_id": "1002",
                    "invite_wx": "bob",
                    "invite_expire_time": 1767225600,
                    "invite_status": "waiting",
                },
            ]
        },
        (
            Agent(ANNA, "安娜", "1001", "u", "w"),
            Agent(
                "b@x", "b", "1002", invite_wx="bob", invite_expire_time=1767225600, invite_status="waiting"
            ),
        ),
    ),
    (
        lambda client: client.kfaccount.online(),
        "GET /cgi-bin/customservice/getonlinekflist",
        {},
        None,
        {"kf_online_list": [{"kf_account": ANNA, "status": 1, "kf_id": "1001", "accepted_case": 2}]},
        (OnlineAgent(ANNA, 1, "1001", 2),),
    ),
    (
        lambda client: client.kfaccount.online(),
        "GET /cgi-bin/customservice/getonlinekflist",
        {},
        None,
        {},
        (),
    ),
    (
        lambda client: client.kfaccount.add(ANNA, "安娜"),
        "POST /customservice/kfaccount/add",
        {},
        {"kf_account": ANNA, "nickname": "安娜"},
        OK,
        None,
    ),
    (
        lambda client: client.kfaccount.update(ANNA, "安"),
        "POST /customservice/kfaccount/update",
        {},
        {"kf_account": ANNA, "nickname": "安"},
        OK,
        None,
    ),
    (
        lambda client: client.kfaccount.delete(ANNA),
        "POST /customservice/kfaccount/del",
        {},
        {"kf_account": ANNA},
        OK,
        None,
    ),
    (
        lambda client: client.kfaccount.invite(ANNA, "anna_w"),
        "POST /customservice/kfaccount/inviteworker",
        {},
        {"kf_account": ANNA, "invite_wx": "anna_w"},
        OK,
        None,
    ),
    (
        lambda client: client.kfaccount.open_session(ANNA, OPENID),
        "POST /customservice/kfsession/create",
        {},
        {"kf_account": ANNA, "openid": OPENID},
        OK,
        None,
    ),
    (
        lambda client: client.kfaccount.close_session(ANNA, OPENID),
        "POST /customservice/kfsession/close",
        {},
        {"kf_account": ANNA, "openid": OPENID},
        OK,
        None,
    ),
    (
        lambda client: client.kfaccount.session(OPENID),
        "GET /customservice/kfsession/getsession",
        {"openid": OPENID},
        None,
        {"createtime": 1767225600, "kf_account": ANNA},
        Session(1767225600, ANNA),
    ),
    (
        lambda client: client.kfaccount.sessions(ANNA),
        "GET /customservice/kfsession/getsessionlist",
        {"kf_account": ANNA},
        None,
        {"sessionlist": [{"createtime": 1767225600, "openid": OPENID}]},
        (Session(1767225600, openid=OPENID),),
    ),
    (
        lambda client: client.kfaccount.waiting(),
        "GET /customservice/kfsession/getwaitcase",
        {},
        None,
        {"count": 150, "waitcaselist": [{"latest_time": 1767225600, "openid": OPENID}]},
        WaitingList(150, Records([Waiting(OPENID, 1767225600)])),
    ),
    (
        lambda client: client.kfaccount.records(1767225600, 1767312000, 7, 100),
        "POST /customservice/msgrecord/getmsglist",
        {},
        {"starttime": 1767225600, "endtime": 1767312000, "msgid": 7, "number": 100},
        {"recordlist": [RECORD], "number": 1, "msgid": 20165267},
        RecordPage(1, 20165267, Records([Record(OPENID, 2002, "您好", 1767225600, ANNA)])),
    ),
]

COMMENTS: list[Row] = [
    (
        lambda client: client.comments.open(206227730),
        "POST /cgi-bin/comment/open",
        {},
        {"msg_data_id": 206227730, "index": 0},
        OK,
        None,
    ),
    (
        lambda client: client.comments.close(206227730, 1),
        "POST /cgi-bin/comment/close",
        {},
        {"msg_data_id": 206227730, "index": 1},
        OK,
        None,
    ),
    (
        lambda client: client.comments.list(206227730, 1, 49, 10, 2),
        "POST /cgi-bin/comment/list",
        {},
        {"msg_data_id": 206227730, "index": 1, "begin": 49, "count": 10, "type": 2},
        {
            **OK,
            "total": 60,
            "comment": [
                {
                    "user_comment_id": 5,
                    "openid": OPENID,
                    "create_time": 1767225600,
                    "content": "好文 😀",
                    "comment_type": 1,
                    "reply": {"content": "谢谢", "create_time": 1767225700},
                },
                {"user_comment_id": 6},
            ],
        },
        Page(
            60,
            Records(
                [Comment(5, OPENID, 1767225600, "好文 😀", 1, CommentReply("谢谢", 1767225700)), Comment(6)]
            ),
        ),
    ),
    *(
        (
            call,
            f"POST /cgi-bin/comment/{path}",
            {},
            {"msg_data_id": 206227730, "index": 0, "user_comment_id": 5},
            OK,
            None,
        )
        for call, path in [
            (lambda client: client.comments.select(206227730, 0, 5), "markelect"),
            (lambda client: client.comments.unselect(206227730, 0, 5), "unmarkelect"),
            (lambda client: client.comments.delete(206227730, 0, 5), "delete"),
            (lambda client: client.comments.delete_reply(206227730, 0, 5), "reply/delete"),
        ]
    ),
    (
        lambda client: client.comments.reply(206227730, 0, 5, "谢谢"),
        "POST /cgi-bin/comment/reply/add",
        {},
        {"msg_data_id": 206227730, "index": 0, "user_comment_id": 5, "content": "谢谢"},
        OK,
        None,
    ),
]


@pytest.mark.parametrize("row", [*AGENTS, *COMMENTS], ids=named)
def test_what_is_sent_and_what_is_made_of_the_answer(row: Row) -> None:
    check(row)


def test_records_are_read_until_a_page_is_not_full() -> None:
    platform = Recorded(
        [
            {"recordlist": [RECORD, RECORD], "number": 2, "msgid": 50},
            {"recordlist": [RECORD], "number": 1, "msgid": 90},
        ]
    )
    assert len(list(platform.client.kfaccount.iter_records(1, 2, number=2))) == 3
    assert [json.loads(request.content)["msgid"] for request in platform.requests] == [1, 50]


def test_all_comments_are_read_page_by_page() -> None:
    platform = Recorded(
        [{"total": 2, "comment": [{"user_comment_id": 1}]}, {"total": 2, "comment": [{"user_comment_id": 2}]}]
    )
    assert [comment.user_comment_id for comment in platform.client.comments.iterate(7)] == [1, 2]
    assert [json.loads(request.content)["begin"] for request in platform.requests] == [0, 1]
