"""The account, codes, statistics and pages: what is sent and what is made of the answer (sections 1.10, 6.6,
6.8, 7.14, 7.15, 7.17 to 7.20 and 7.22)."""

from __future__ import annotations

import hashlib
import json
import re
from datetime import date

import pytest
from flask import Flask, render_template_string

from tests.conftest import APP_ID, APP_SECRET
from tests.wechat.api.recorded import NOW, OK, OPENID, Recorded, Row, check, named
from wechat_bot.wechat.api import datacube
from wechat_bot.wechat.api.jssdk import sign
from wechat_bot.wechat.api.menu import NewsInfo
from wechat_bot.wechat.api.oauth import Authorization, Profile
from wechat_bot.wechat.api.qrcode import QRCode
from wechat_bot.wechat.api.shortkey import Stored
from wechat_bot.wechat.api.system import (
    AutoReplies,
    AutoReply,
    CallbackCheck,
    DailyQuota,
    FailedCall,
    Ping,
    Quota,
    RateLimit,
    Resolved,
    Rule,
    RuleKeyword,
    RuleReply,
)
from wechat_bot.wechat.api.values import Records
from wechat_bot.wechat.errors import AuthorizationEnded, Busy, CredentialsRefused, NotFollowing, Unreachable

SYSTEM: list[Row] = [
    (
        lambda client: client.system.callback_ips(),
        "GET /cgi-bin/getcallbackip",
        {},
        None,
        {"ip_list": ["127.0.0.1", "101.226.103.0/25"]},
        ("127.0.0.1", "101.226.103.0/25"),
    ),
    (
        lambda client: client.system.api_domain_ips(),
        "GET /cgi-bin/get_api_domain_ip",
        {},
        None,
        {"ip_list": ["101.226.103.1"]},
        ("101.226.103.1",),
    ),
    (
        lambda client: client.system.check_callback("ping", "CAP"),
        "POST /cgi-bin/callback/check",
        {},
        {"action": "ping", "check_operator": "CAP"},
        {
            "dns": [{"ip": "203.0.113.1", "real_operator": "UNICOM"}],
            "ping": [{"ip": "203.0.113.1", "from_operator": "CAP", "package_loss": "0%", "time": "23.079ms"}],
        },
        CallbackCheck((Resolved("203.0.113.1", "UNICOM"),), (Ping("203.0.113.1", "CAP", "0%", "23.079ms"),)),
    ),
    (
        lambda client: client.system.clear_quota(),
        "POST /cgi-bin/clear_quota",
        {},
        {"appid": APP_ID},
        OK,
        None,
    ),
    (
        lambda client: client.system.clear_quota_of("/cgi-bin/message/custom/send"),
        "POST /cgi-bin/openapi/quota/clear",
        {},
        {"cgi_path": "/cgi-bin/message/custom/send"},
        OK,
        None,
    ),
    (
        lambda client: client.system.quota("/cgi-bin/user/get"),
        "POST /cgi-bin/openapi/quota/get",
        {},
        {"cgi_path": "/cgi-bin/user/get"},
        {
            **OK,
            "quota": {"daily_limit": 500, "used": 3, "remain": 497},
            "rate_limit": {"call_count": 100, "refresh_second": 60},
        },
        Quota(DailyQuota(500, 3, 497), RateLimit(100, 60)),
    ),
    (
        lambda client: client.system.failed_call("61725984-6126f6f9-040f19c4"),
        "POST /cgi-bin/openapi/rid/get",
        {},
        {"rid": "61725984-6126f6f9-040f19c4"},
        {
            **OK,
            "request": {
                "invoke_time": 1767225600,
                "cost_in_ms": 30,
                "request_url": "access_token=",
                "request_body": "",
                "response_body": "{}",
                "client_ip": "203.0.113.9",
            },
        },
        FailedCall(1767225600, 30, "access_token=", "", "{}", "203.0.113.9"),
    ),
    (
        lambda client: client.system.auto_replies(),
        "GET /cgi-bin/get_current_autoreply_info",
        {},
        None,
        {
            "is_add_friend_reply_open": 1,
            "is_autoreply_open": 0,
            "add_friend_autoreply_info": {"type": "text", "content": "欢迎"},
            "keyword_autoreply_info": {
                "list": [
                    {
                        "rule_name": "问好",
                        "create_time": 1767225600,
                        "reply_mode": "reply_all",
                        "keyword_list_info": [{"type": "text", "match_mode": "contain", "content": "你好"}],
                        "reply_list_info": [
                            {"type": "text", "content": "您好"},
                            {"type": "news", "content": "MeDiA", "news_info": {"list": [{"title": "题"}]}},
                        ],
                    }
                ]
            },
        },
        AutoReplies(
            True,
            False,
            AutoReply("text", "欢迎"),
            keyword_autoreply_info=Records(
                [
                    Rule(
                        "问好",
                        1767225600,
                        "reply_all",
                        (RuleKeyword("text", "contain", "你好"),),
                        (RuleReply("text", "您好"), RuleReply("news", "MeDiA", (NewsInfo("题"),))),
                    )
                ]
            ),
        ),
    ),
]

CODES: list[Row] = [
    *(
        (
            call,
            "POST /cgi-bin/qrcode/create",
            {},
            {**expires, "action_name": name, "action_info": {"scene": scene}},
            {"ticket": "TiCkEt", **expires, "url": "http://weixin.qq.com/q/a"},
            QRCode("TiCkEt", "http://weixin.qq.com/q/a", expires.get("expire_seconds", 0)),
        )
        for call, name, scene, expires in [
            (lambda c: c.qrcode.create(7, 600), "QR_SCENE", {"scene_id": 7}, {"expire_seconds": 600}),
            (
                lambda c: c.qrcode.create("counter-7", 600),
                "QR_STR_SCENE",
                {"scene_str": "counter-7"},
                {"expire_seconds": 600},
            ),
            (lambda c: c.qrcode.create_permanent(7), "QR_LIMIT_SCENE", {"scene_id": 7}, {}),
            (lambda c: c.qrcode.create_permanent("七"), "QR_LIMIT_STR_SCENE", {"scene_str": "七"}, {}),
        ]
    ),
    (
        lambda client: client.shortkey.create("loooong", 3600),
        "POST /cgi-bin/shorten/gen",
        {},
        {"long_data": "loooong", "expire_seconds": 3600},
        {**OK, "short_key": "abcdefghijklmno"},
        "abcdefghijklmno",
    ),
    (
        lambda client: client.shortkey.create("loooong"),
        "POST /cgi-bin/shorten/gen",
        {},
        {"long_data": "loooong"},
        {**OK, "short_key": "abcdefghijklmno"},
        "abcdefghijklmno",
    ),
    (
        lambda client: client.shortkey.fetch("abcdefghijklmno"),
        "POST /cgi-bin/shorten/fetch",
        {},
        {"short_key": "abcdefghijklmno"},
        {**OK, "long_data": "loooong", "create_time": 1767225600, "expire_seconds": 86400},
        Stored("loooong", 1767225600, 86400),
    ),
]

BEGIN, END = date(2026, 1, 1), date(2026, 1, 7)
SPAN = {"begin_date": "2026-01-01", "end_date": "2026-01-07"}

STATISTICS: list[Row] = [
    (
        lambda client: client.datacube.get(datacube.USER_SUMMARY, BEGIN, END),
        "POST /datacube/getusersummary",
        {},
        SPAN,
        {"list": [{"ref_date": "2026-01-01", "user_source": 30, "new_user": 5, "cancel_user": 1}]},
        (datacube.UserSummary("2026-01-01", 30, 5, 1),),
    ),
    (
        lambda client: client.datacube.get(datacube.USER_CUMULATE, BEGIN, END),
        "POST /datacube/getusercumulate",
        {},
        SPAN,
        {"list": [{"ref_date": "2026-01-01", "cumulate_user": 5}]},
        (datacube.UserCumulate("2026-01-01", 5),),
    ),
    (
        lambda client: client.datacube.get(datacube.UPSTREAM_HOUR, BEGIN, BEGIN),
        "POST /datacube/getupstreammsghour",
        {},
        {"begin_date": "2026-01-01", "end_date": "2026-01-01"},
        {
            "list": [
                {"ref_date": "2026-01-01", "ref_hour": 1300, "msg_type": 1, "msg_user": 2, "msg_count": 9}
            ]
        },
        (datacube.UpstreamMessages("2026-01-01", 1300, 1, 2, 9),),
    ),
    (
        lambda client: client.datacube.get(datacube.UPSTREAM_DISTRIBUTION, BEGIN, END),
        "POST /datacube/getupstreammsgdist",
        {},
        SPAN,
        {"list": [{"ref_date": "2026-01-01", "count_interval": 1, "msg_user": 246}]},
        (datacube.UpstreamDistribution("2026-01-01", 1, 246),),
    ),
    (
        lambda client: client.datacube.get(datacube.INTERFACE, BEGIN, END),
        "POST /datacube/getinterfacesummary",
        {},
        SPAN,
        {
            "list": [
                {
                    "ref_date": "2026-01-01",
                    "callback_count": 36974,
                    "fail_count": 67,
                    "total_time_cost": 14994291,
                    "max_time_cost": 5044,
                }
            ]
        },
        (datacube.InterfaceSummary("2026-01-01", 0, 36974, 67, 14994291, 5044),),
    ),
    (
        lambda client: client.datacube.get(datacube.ARTICLE_READ, BEGIN, BEGIN),
        "POST /datacube/getarticleread",
        {},
        {"begin_date": "2026-01-01", "end_date": "2026-01-01"},
        {"list": [{"ref_date": "2026-01-01", "anything": [1]}]},
        ({"ref_date": "2026-01-01", "anything": [1]},),
    ),
    (
        lambda client: client.datacube.get(datacube.USER_SUMMARY, BEGIN, END),
        "POST /datacube/getusersummary",
        {},
        SPAN,
        {"list": []},
        (),
    ),
]


@pytest.mark.parametrize("row", [*SYSTEM, *CODES, *STATISTICS], ids=named)
def test_what_is_sent_and_what_is_made_of_the_answer(row: Row) -> None:
    check(row)


def test_every_report_of_the_platform_is_known() -> None:
    reports = {report.name for report in vars(datacube).values() if isinstance(report, datacube.Report)}
    assert reports == {
        "getusersummary",
        "getusercumulate",
        *(f"getupstreammsg{when}" for when in ("", "hour", "week", "month")),
        *(f"getupstreammsgdist{when}" for when in ("", "week", "month")),
        "getinterfacesummary",
        "getinterfacesummaryhour",
        "getarticlesummary",
        "getarticletotal",
        "getuserread",
        "getuserreadhour",
        "getusershare",
        "getusersharehour",
        "getarticleread",
        "getarticleshare",
        "getarticletotaldetail",
        "getbizsummary",
    }


def test_the_picture_of_a_code_needs_no_token() -> None:
    url = Recorded([OK]).client.qrcode.picture_url("gQH47joAAA==/+")
    assert url == "https://mp.weixin.qq.com/cgi-bin/showqrcode?ticket=gQH47joAAA%3D%3D%2F%2B"


# OAuth

AUTHORIZED = {
    "access_token": "WeBtOkEn",
    "expires_in": 7200,
    "refresh_token": "ReFrEsH",
    "openid": OPENID,
    "scope": "snsapi_userinfo",
    "is_snapshotuser": 1,
    "unionid": "oUnIoN",
}
AUTHORIZATION = Authorization(OPENID, "WeBtOkEn", 7200, "ReFrEsH", "snsapi_userinfo", True, "oUnIoN")

OAUTH: list[Row] = [
    (
        lambda client: client.oauth.exchange("CoDe"),
        "GET /sns/oauth2/access_token",
        {"appid": APP_ID, "secret": APP_SECRET, "code": "CoDe", "grant_type": "authorization_code"},
        None,
        AUTHORIZED,
        AUTHORIZATION,
    ),
    (
        lambda client: client.oauth.refresh("ReFrEsH"),
        "GET /sns/oauth2/refresh_token",
        {"appid": APP_ID, "grant_type": "refresh_token", "refresh_token": "ReFrEsH"},
        None,
        AUTHORIZED,
        AUTHORIZATION,
    ),
    (
        lambda client: client.oauth.user("WeBtOkEn", OPENID),
        "GET /sns/userinfo",
        {"access_token": "WeBtOkEn", "openid": OPENID, "lang": "zh_CN"},
        None,
        {
            "openid": OPENID,
            "nickname": "小明 😀",
            "sex": 0,
            "province": "",
            "city": "",
            "country": "",
            "headimgurl": "https://thirdwx.qlogo.cn/a/46",
            "privilege": ["PRIVILEGE1"],
            "unionid": "oUnIoN",
        },
        Profile(
            OPENID,
            "小明 😀",
            headimgurl="https://thirdwx.qlogo.cn/a/46",
            privilege=("PRIVILEGE1",),
            unionid="oUnIoN",
        ),
    ),
    (
        lambda client: client.oauth.check("WeBtOkEn", OPENID),
        "GET /sns/auth",
        {"access_token": "WeBtOkEn", "openid": OPENID},
        None,
        OK,
        True,
    ),
    *(
        (
            lambda client: client.oauth.check("WeBtOkEn", OPENID),
            "GET /sns/auth",
            {"access_token": "WeBtOkEn", "openid": OPENID},
            None,
            {"errcode": errcode, "errmsg": "invalid"},
            False,
        )
        for errcode in (40001, 40003, 42001)
    ),
    (
        lambda client: client.system.clear_quota_without_token(),
        "POST /cgi-bin/clear_quota/v2",
        {},
        {"appid": APP_ID, "appsecret": APP_SECRET},
        OK,
        None,
    ),
]


@pytest.mark.parametrize("errcode", [41002, 41004])
def test_the_secret_that_clears_quotas_is_sent_as_query_where_the_body_is_not_read(errcode: int) -> None:
    platform = Recorded([{"errcode": errcode, "errmsg": "appid missing"}, OK])
    platform.client.system.clear_quota_without_token()
    body, query = platform.requests
    secret = {"appid": APP_ID, "appsecret": APP_SECRET}
    assert (dict(body.url.params), json.loads(body.content)) == ({}, secret)
    assert (dict(query.url.params), json.loads(query.content)) == (secret, {})


def test_a_refused_secret_is_sent_once_and_hidden() -> None:
    platform = Recorded([{"errcode": 40125, "errmsg": f"invalid appsecret {APP_SECRET}"}])
    with pytest.raises(CredentialsRefused) as caught:
        platform.client.system.clear_quota_without_token()
    assert APP_SECRET not in str(caught.value)
    assert len(platform.requests) == 1


@pytest.mark.parametrize("row", OAUTH, ids=named)
def test_some_calls_go_without_our_access_token(row: Row) -> None:
    check(row, token="")


def test_a_browser_is_sent_to_authorise_with_the_parameters_in_the_platform_s_order() -> None:
    oauth = Recorded([OK]).client.oauth
    assert oauth.authorize_url("https://bot.example.com/a?b=1&c=你", "snsapi_base", "s7") == (
        f"https://open.weixin.qq.com/connect/oauth2/authorize?appid={APP_ID}"
        "&redirect_uri=https%3A%2F%2Fbot.example.com%2Fa%3Fb%3D1%26c%3D%E4%BD%A0"
        "&response_type=code&scope=snsapi_base&state=s7#wechat_redirect"
    )
    assert oauth.authorize_url("https://a/", "snsapi_userinfo", "s", force_popup=True).endswith(
        "&state=s&forcePopup=true#wechat_redirect"
    )


@pytest.mark.parametrize("errcode", [40029, 40163, 42003])
def test_a_code_that_is_used_up_sends_the_user_through_authorisation_again(errcode: int) -> None:
    with pytest.raises(AuthorizationEnded):
        Recorded([{"errcode": errcode, "errmsg": "code been used"}]).client.oauth.exchange("CoDe")


def test_a_code_is_never_exchanged_twice_by_itself() -> None:
    platform = Recorded([{"errcode": -1, "errmsg": "system busy"}])
    with pytest.raises(Busy):
        platform.client.oauth.exchange("CoDe")
    assert len(platform.requests) == 1


def test_tokens_of_users_do_not_show() -> None:
    assert "WeBtOkEn" not in repr(AUTHORIZATION)
    assert "ReFrEsH" not in repr(AUTHORIZATION)


# JS-SDK


@pytest.mark.parametrize(
    ("ticket", "nonce", "timestamp", "url", "signature"),
    [
        (
            "sM4AOVdWfPE4DxkXGEs8VMCPGGVi4C3VM0P37wVUCFvkVAy_90u5h9nbSlYy3-Sl-HhTdfl2fzFy1AOcHKP7qg",
            "Wm3WZYTPz0wzccnW",
            1414587457,
            "http://mp.weixin.qq.com?params=value",
            "0f9de62fce790f9a083d5c99e95740ceb90c27ed",
        ),
        (
            "HoagFKDcsGMVCIY2vOjf9kTestTicket_0123456789-abcdefghijklmnopqrstuvwxyz",
            "n0nceStr9Zx",
            1767225600,
            "https://bot.example.com/page?id=7&name=%E5%BC%A0",
            "a09c52b36c55f0e8ffbaae7a7b918457f4ef723a",
        ),
    ],
    ids=["official", "own"],
)
def test_a_page_is_signed_as_the_platform_signs_it(
    ticket: str, nonce: str, timestamp: int, url: str, signature: str
) -> None:
    assert sign(ticket, nonce, timestamp, url) == signature


TICKET = {**OK, "ticket": "TiCkEt", "expires_in": 7200}


def test_a_page_gets_its_configuration_and_the_ticket_is_asked_for_once() -> None:
    platform = Recorded([TICKET])
    jssdk = platform.client.jssdk
    config = jssdk.config("https://bot.example.com/a?b=c#d")
    jssdk.config("https://bot.example.com/")
    [request] = platform.requests
    assert request.url.path == "/cgi-bin/ticket/getticket"
    assert dict(request.url.params) == {"access_token": "ToKeN", "type": "jsapi"}
    text = (
        f"jsapi_ticket=TiCkEt&noncestr={config.nonceStr}&timestamp={int(NOW)}"
        "&url=https://bot.example.com/a?b=c"
    )
    assert dict(config) == {
        "appId": APP_ID,
        "timestamp": int(NOW),
        "nonceStr": config.nonceStr,
        "signature": hashlib.sha1(text.encode()).hexdigest(),
    }
    assert re.fullmatch("[0-9a-f]{16}", config.nonceStr)


def test_a_template_writes_a_configuration_as_an_object() -> None:
    config = Recorded([TICKET]).client.jssdk.config("https://bot.example.com/")
    with Flask(__name__).app_context():
        assert json.loads(render_template_string("{{ config|tojson }}", config=config)) == dict(config)


def test_tickets_for_pages_and_cards_are_two() -> None:
    platform = Recorded([TICKET, {**TICKET, "ticket": "CaRd"}])
    jssdk = platform.client.jssdk
    assert [jssdk.ticket(), jssdk.ticket("wx_card"), jssdk.ticket()] == ["TiCkEt", "CaRd", "TiCkEt"]
    assert [request.url.params["type"] for request in platform.requests] == ["jsapi", "wx_card"]


def test_an_answer_without_a_ticket_is_none() -> None:
    with pytest.raises(Unreachable):
        Recorded([OK]).client.jssdk.ticket()


def test_an_error_of_the_ticket_is_the_caller_s() -> None:
    with pytest.raises(NotFollowing):
        Recorded([{"errcode": 40003, "errmsg": "x"}]).client.jssdk.ticket()
