"""Pages that followers open in WeChat: who they are, and the signature for JavaScript."""

from __future__ import annotations

import json
import re
from html import unescape
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from flask import Flask
from flask.testing import FlaskClient

from tests.conftest import APP_ID, APP_SECRET, MakeApp
from wechat_bot.testing import OPENID, FakeAPI
from wechat_bot.web_pages import BASE, USERINFO, VISITOR_TTL, Visitor, jssdk_config, oauth_required
from wechat_bot.wechat.api.jssdk import sign

SITE = "https://bot.example.com"
ADDRESS = f"{SITE}/orders?id=7&name=%E5%BC%A0"


@pytest.fixture
def app(make_app: MakeApp, api: FakeAPI) -> Flask:
    """An account whose owner added pages."""
    app = make_app(api=api, wechat_app_secret=APP_SECRET)

    @app.route("/orders", methods=["GET", "POST"])
    @oauth_required()
    def orders(visitor: Visitor) -> str:
        return f"orders of {visitor.openid}"

    @app.get("/hello")
    @oauth_required(USERINFO)
    def hello(visitor: Visitor) -> str:
        return f"hello {visitor.nickname}"

    @app.get("/poster")
    def poster() -> dict[str, object]:
        return jssdk_config("scanQRCode", open_tags=("wx-open-subscribe",))

    return app


@pytest.fixture
def browser(app: Flask) -> FlaskClient:
    return app.test_client()


def sent_to_wechat(browser: FlaskClient, address: str = ADDRESS) -> dict[str, str]:
    """With which query a browser that opens a page is sent to WeChat."""
    answer = browser.get(address)
    assert answer.status_code == 303
    assert answer.headers["Cache-Control"] == "no-store"
    target = urlsplit(answer.location)
    assert (target.netloc, target.fragment) == ("open.weixin.qq.com", "wechat_redirect")
    return {name: values[0] for name, values in parse_qs(target.query).items()}


def come_back(browser: FlaskClient, code: str, state: str, address: str = ADDRESS) -> str | int:
    """Where a browser is sent on that WeChat sends back, or the status of the refusal."""
    answer = browser.get(f"{address}{'&' if '?' in address else '?'}code={code}&state={state}")
    return answer.location if answer.status_code == 303 else answer.status_code


def test_a_visitor_is_known_after_a_detour_and_remembered(browser: FlaskClient, api: FakeAPI) -> None:
    query = sent_to_wechat(browser)
    assert (query["appid"], query["scope"], query["redirect_uri"]) == (APP_ID, BASE, ADDRESS)
    assert re.fullmatch("[0-9a-f]{32}", query["state"])
    assert come_back(browser, api.authorise(OPENID), query["state"]) == ADDRESS
    for _ in range(2):
        assert browser.get(ADDRESS).text == f"orders of {OPENID}"
    assert browser.post(ADDRESS).text == f"orders of {OPENID}"
    assert api.calls.count("/sns/oauth2/access_token") == 1


def test_the_name_needs_the_other_scope(browser: FlaskClient, api: FakeAPI) -> None:
    state = sent_to_wechat(browser)["state"]
    come_back(browser, api.authorise(OPENID), state)
    page = f"{SITE}/hello"
    query = sent_to_wechat(browser, page)
    assert query["scope"] == USERINFO
    api.follower_acted(OPENID, "message")
    with api.store.opened() as stored:
        stored.followers[OPENID].nickname = "小明"
    assert come_back(browser, api.authorise(OPENID, USERINFO), query["state"], page) == page
    assert browser.get(page).text == "hello 小明"
    assert browser.get(ADDRESS).text == f"orders of {OPENID}"  # the larger scope is enough


def test_a_sign_in_that_another_browser_began_is_refused(
    app: Flask, browser: FlaskClient, api: FakeAPI
) -> None:
    attacker = app.test_client()
    state = sent_to_wechat(attacker)["state"]
    code = api.authorise("oAttacker")
    assert come_back(browser, code, state) == 403  # it has begun none
    own = sent_to_wechat(browser)["state"]
    assert own != state
    assert come_back(browser, code, state) == 403
    assert come_back(browser, code, own[:-1]) == 403
    assert come_back(browser, code, "\u00e9") == 403
    assert "/sns/oauth2/access_token" not in api.calls


def test_a_state_is_good_once_and_for_all_tabs_that_wait_for_it(browser: FlaskClient, api: FakeAPI) -> None:
    state = sent_to_wechat(browser)["state"]
    assert sent_to_wechat(browser, f"{SITE}/orders")["state"] == state
    come_back(browser, api.authorise(OPENID), state)
    with browser.session_transaction(base_url=SITE) as session:
        del session["wechat_visitor"]
    assert come_back(browser, api.authorise("oOther"), state) == 403


def test_a_used_code_and_a_refusal_are_explained(browser: FlaskClient, app: Flask, api: FakeAPI) -> None:
    code = api.authorise(OPENID)
    other = app.test_client()
    come_back(other, code, sent_to_wechat(other)["state"])
    state = sent_to_wechat(browser)["state"]
    assert come_back(browser, code, state) == 400
    assert browser.get(f"{ADDRESS}&state={state}").status_code == 403
    api.errcodes["/sns/oauth2/access_token"] = [-1]
    assert come_back(browser, api.authorise(OPENID), state) == 502


def test_a_form_of_somebody_unknown_is_not_sent_to_wechat(browser: FlaskClient) -> None:
    assert browser.post(ADDRESS).status_code == 401


def test_a_visitor_is_asked_again_after_a_week(browser: FlaskClient, api: FakeAPI) -> None:
    come_back(browser, api.authorise(OPENID), sent_to_wechat(browser)["state"])
    with browser.session_transaction(base_url=SITE) as session:
        session["wechat_visitor"] = {
            **session["wechat_visitor"],
            "until": session["wechat_visitor"]["until"] - VISITOR_TTL,
        }
    sent_to_wechat(browser)


def test_without_an_app_secret_such_a_page_is_not_available(make_app: MakeApp) -> None:
    app = make_app()

    @app.get("/orders")
    @oauth_required()
    def orders(visitor: Visitor) -> str:
        return visitor.openid

    assert app.test_client().get("/orders").status_code == 503


@pytest.mark.parametrize("query", ["", "?id=7&name=%E5%BC%A0%20a", "?q=%26%3D%2F"])
def test_the_signature_is_of_the_address_as_the_browser_shows_it(
    browser: FlaskClient, api: FakeAPI, query: str
) -> None:
    config = browser.get(f"{SITE}/poster{query}").json
    assert config is not None
    with api.store.opened() as state:
        ticket = state.js_tickets["jsapi"].value
    expected = sign(ticket, config["nonceStr"], config["timestamp"], f"{SITE}/poster{query}")
    assert config["signature"] == expected
    assert (config["appId"], config["jsApiList"], config["openTagList"]) == (
        APP_ID,
        ["scanQRCode"],
        ["wx-open-subscribe"],
    )


@pytest.fixture
def demo(make_app: MakeApp, tmp_path: Path) -> FlaskClient:
    """The demo, without an AppSecret."""
    app = make_app()
    app.instance_path = str(tmp_path / "instance")
    return app.test_client()


def test_without_an_account_the_demo_plays_wechat_and_says_so(demo: FlaskClient) -> None:
    assert "程序自己扮演的" in demo.get("/demo/followers/").text
    page = demo.get("/demo/followers/me", follow_redirects=True)
    assert (page.status_code, page.request.path) == (200, "/demo/followers/me")
    assert page.request.query_string == b""
    assert f"<dd>{OPENID}</dd>" in page.text


@pytest.mark.parametrize(("answer", "status"), [({"allow": "1"}, 200), ({}, 403)])
def test_the_played_wechat_asks_before_it_tells_the_name(
    demo: FlaskClient, answer: dict[str, str], status: int
) -> None:
    page = demo.get("/demo/followers/profile", follow_redirects=True)
    assert page.request.path == "/demo/followers/consent"
    fields = dict(re.findall(r'name="(redirect_uri|scope|state)" value="([^"]*)"', page.text))
    form = {name: unescape(value) for name, value in fields.items()} | answer
    after = demo.post("/demo/followers/consent", data=form, follow_redirects=True)
    assert after.status_code == status
    assert ("微信用户" in after.text) == (status == 200)


def test_the_played_wechat_leads_to_this_site_only(demo: FlaskClient) -> None:
    query = {"redirect_uri": "https://evil.example/", "state": "a", "scope": BASE}
    assert demo.get("/demo/followers/consent", query_string=query).status_code == 400


def test_the_demo_shows_a_configuration_and_allows_the_script_of_wechat(demo: FlaskClient) -> None:
    page = demo.get("/demo/followers/share")
    assert "https://res.wx.qq.com" in page.headers["Content-Security-Policy"]
    assert '<script src="https://res.wx.qq.com' not in page.text  # nobody could check the signature
    found = re.search(r'<span id="config">(.*?)</span>', page.text, re.DOTALL)
    assert found
    assert json.loads(unescape(found[1]))["jsApiList"] == [
        "updateAppMessageShareData",
        "updateTimelineShareData",
    ]


def test_with_an_account_nothing_is_played(browser: FlaskClient) -> None:
    assert "程序自己扮演的" not in browser.get("/demo/followers/").text
    sent_to_wechat(browser, f"{SITE}/demo/followers/me")
    assert browser.get("/demo/followers/consent").status_code == 404
    assert '<script src="https://res.wx.qq.com' in browser.get("/demo/followers/share").text
