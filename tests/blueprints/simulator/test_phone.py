"""The phone: actions of a follower, and what the phone shows."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from html.parser import HTMLParser

import pytest

from tests.blueprints.simulator.conftest import MakeSimulator, Simulator, text_of
from tests.hostile import PUSHED
from wechat_bot.blueprints.shared.display import exact_time
from wechat_bot.blueprints.simulator import display
from wechat_bot.routing import Answer, Context, Router
from wechat_bot.simulator.journal import DeliveryOutcome
from wechat_bot.simulator.sample_messages import EVENTS, MESSAGES
from wechat_bot.testing import NOTICE, OPENID
from wechat_bot.wechat.messages import Message, TextMessage
from wechat_bot.wechat.replies import Article, ImageReply, NewsReply
from wechat_bot.wiring import services


def bot(answer: Answer) -> Router:
    """Return a bot with one answer to every message."""
    router = Router()

    @router.on(Message)
    def say(message: Message, ctx: Context) -> Answer:
        return answer

    return router


def test_a_text_is_answered_in_the_phone(simulator: Simulator) -> None:
    simulator.says("帮助")
    page = text_of(simulator.page())
    assert "我会这些" in page
    assert NOTICE not in page
    exchange = simulator.last()
    assert exchange.url == str(simulator.client.base_url.join("/wechat"))
    assert [attempt.status for attempt in exchange.attempts] == [200]


def test_the_conversation_shows_in_the_console_too(simulator: Simulator) -> None:
    simulator.says("帮助")
    page = simulator.page()
    assert "由 commands.show_help 处理" in text_of(page)
    assert re.search(r'href="/admin/messages/\d+"', page)


def test_times_are_in_the_time_zone_of_the_console(simulator: Simulator) -> None:
    with simulator.app.test_request_context():
        console = exact_time(datetime.fromtimestamp(0, UTC))
        assert console.startswith("1970-01-01 08:00:00")
        assert (display.clock(0), display.moment(0)) == ("08:00:00", "01-01 08:00")


def test_content_of_messages_is_escaped(make_simulator: MakeSimulator) -> None:
    router = Router()

    @router.on(TextMessage)
    def echo(message: TextMessage, ctx: Context) -> Answer:
        return message.content

    simulator = make_simulator(router)
    for text in PUSHED.values():
        simulator.client.post("/simulator/push", data={"follower": OPENID, "f/Content": text[:5000]})
        simulator.finished()
    parser = Scripts()
    parser.feed(simulator.page())
    assert parser.found == []


class Scripts(HTMLParser):
    """Finds injected scripts and links in a page."""

    found: list[str]

    def __init__(self) -> None:
        super().__init__()
        self.found = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            allowed = (value or "").startswith(("/", "https://", "http://", "?", "#"))
            if name.startswith("on") or (name in {"href", "src", "action"} and not allowed):
                self.found.append(f"{tag} {name}={value}")
        if tag in {"iframe", "object", "base"} or (tag == "script" and "src" not in dict(attrs)):
            self.found.append(tag)


def test_a_bot_that_fails_shows_the_grey_notice(simulator: Simulator) -> None:
    simulator.post("choices", fault="signature")
    exchange = simulator.says("帮助")
    assert exchange.outcome is DeliveryOutcome.NOTICE
    assert [attempt.status for attempt in exchange.attempts] == [403, 403, 403]
    assert NOTICE in simulator.page()


def test_silence_is_no_failure(make_simulator: MakeSimulator) -> None:
    simulator = make_simulator(bot(None))
    assert simulator.says("有人吗").outcome is DeliveryOutcome.NOTHING
    assert NOTICE not in text_of(simulator.page())


def test_links_and_taps_in_a_reply_work(make_simulator: MakeSimulator) -> None:
    router = Router()

    @router.on(TextMessage)
    def echo(message: TextMessage, ctx: Context) -> Answer:
        if message.menu_id:
            return f"选了 {message.menu_id}"
        return (
            '<a href="https://www.example.com/?a=1&b=2">看</a> <a href="javascript:alert(1)">坏</a>'
            ' <a href="weixin://bizmsgmenu?msgmenucontent=%E5%A5%BD&msgmenuid=101">好</a>'
        )

    simulator = make_simulator(router)
    simulator.says("菜单")
    page = simulator.page()
    assert 'href="https://www.example.com/?a=1&amp;b=2"' in page
    assert "javascript:" not in page.partition('class="bubble"')[2].partition("</article>")[0]
    tap = re.search(r'class="tap" form="tap" name="fields" value="([^"]+)"', page)
    assert tap
    simulator.post("push", fields=tap[1].replace("&#34;", '"'))
    assert simulator.finished().fields["Content"] == "好"
    assert "选了 101" in simulator.page()


def test_news_and_pictures_are_shown(make_simulator: MakeSimulator) -> None:
    article = Article("时刻表", "一月起", "", "https://www.example.com/t")
    simulator = make_simulator(bot(NewsReply((article, article))))
    simulator.says("看看")
    chat = simulator.page().partition('id="log"')[2].partition('id="foot"')[0]
    assert text_of(chat).count("一月起") == 1, "to a message the platform shows one article"
    simulator = make_simulator(bot(ImageReply("mEdIaId")))
    simulator.says("看看")
    assert "mEdIaId" in text_of(simulator.page())


def test_following_again_greets_and_writing_needs_following(simulator: Simulator) -> None:
    assert "关注公众号" not in text_of(simulator.page())
    simulator.post("push", fields='{"MsgType": "event", "Event": "unsubscribe", "EventKey": ""}')
    simulator.finished()
    assert "关注公众号" in text_of(simulator.page())
    simulator.post("push", fields='{"MsgType": "event", "Event": "subscribe", "EventKey": ""}')
    simulator.finished()
    assert "欢迎" in text_of(simulator.page())


def test_who_does_not_follow_is_not_greeted_as_a_follower(simulator: Simulator) -> None:
    assert "你是公众号的粉丝" in text_of(simulator.page())
    stranger = simulator.journal.add_follower(subscribed=False)
    page = text_of(simulator.page(follower=stranger.openid))
    assert "你还没有关注公众号" in page
    assert "发送“帮助”" not in page


def test_a_scan_makes_a_stranger_follow_and_is_an_event_of_a_follower(simulator: Simulator) -> None:
    page = simulator.client.post("/simulator/followers", follow_redirects=True)
    stranger = page.url.params["follower"]
    simulator.post("scan", follower=stranger, scene="door")
    assert simulator.finished(stranger).fields["EventKey"] == "qrscene_door"
    simulator.post("scan", follower=stranger, scene="door")
    assert simulator.finished(stranger).fields["Event"] == "SCAN"
    assert simulator.journal.exchanges(OPENID, 10) == [], "followers are apart"


@pytest.mark.parametrize(
    ("kind", "content_type"), [("image", "image/png"), ("voice", "audio/amr"), ("video", "video/mp4")]
)
def test_a_sample_medium_is_sent_and_can_be_fetched(
    simulator: Simulator, kind: str, content_type: str
) -> None:
    simulator.post("push", kind=kind)
    fields, page = simulator.finished().fields, simulator.page()
    assert "收到你的" in text_of(page)
    answer = simulator.client.get(f"/simulator/media/{fields['MediaId']}")
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, content_type)
    if kind == "image":
        assert simulator.client.get(fields["PicUrl"]).content == answer.content
        assert f'src="/simulator/media/{fields["MediaId"]}"' in page


def test_links_and_positions_are_white_cards_and_pictures_have_no_bubble(simulator: Simulator) -> None:
    pushes = {
        "link": {"f/Title": "时刻表", "f/Description": "一月起", "f/Url": "https://www.example.com/t"},
        "location": {"f/Location_X": "31.2", "f/Location_Y": "121.5", "f/Label": "人民大道"},
        "image": {},
        "text": {"f/Content": "谢谢"},
    }
    shown = {}
    for kind, form in pushes.items():
        simulator.post("push", kind=kind, **form)
        simulator.finished()
        pattern = r'class="turn mine"><div class="([^"]+)">(.*?)</div>\s*<svg'
        classes, shown[kind] = re.findall(pattern, simulator.page(), re.DOTALL)[-1]
        assert classes == {"image": "bubble plain", "text": "bubble"}.get(kind, "bubble card")
    assert 'href="https://www.example.com/t"' in shown["link"]
    assert "一月起" in shown["link"]
    assert "人民大道" in shown["location"]


def test_a_voice_has_its_length_and_can_be_played(simulator: Simulator) -> None:
    simulator.post("push", kind="voice")
    simulator.finished()
    page = simulator.page()
    assert "3″" in text_of(page)
    [source] = re.findall(r'<audio[^>]* src="([^"]+)"', page)
    answer = simulator.client.get(source)
    available = services(simulator.app).archive.converter.is_available
    assert answer.headers["Content-Type"] == ("audio/mpeg" if available else "audio/amr")
    assert simulator.client.get("/simulator/media/..%2Fstate.json/playable").status_code == 404


PICTURE = b"\xff\xd8\xff picture" + bytes(3 << 20)


def test_an_own_file_is_sent(simulator: Simulator) -> None:
    simulator.post("push", kind="image", files={"file": ("my.jpg", PICTURE, "image/jpeg")})
    media_id = simulator.finished().fields["MediaId"]
    assert simulator.client.get(f"/simulator/media/{media_id}").content == PICTURE


def test_a_position_is_picked_on_the_map(simulator: Simulator) -> None:
    form = {"f/Location_X": "31.0", "f/Location_Y": "121.0", "f/Scale": "16", "f/Label": ""}
    simulator.post("push", kind="location", **form, **{"at.x": "240", "at.y": "0"})
    fields = simulator.finished().fields
    assert (fields["Location_X"], fields["Location_Y"]) == ("31.100000", "121.100000")
    simulator.post("push", kind="location", **form)
    assert simulator.finished().fields["Location_X"] == "31.0"


def test_every_kind_and_event_can_be_pushed(simulator: Simulator) -> None:
    for kind in [*MESSAGES, *EVENTS]:
        page = simulator.page(tab="push", kind=kind)
        named = re.findall(r'<input name="(f/[^"]+)" value="([^"]*)"', page.partition('id="panel"')[2])
        assert named, kind
        simulator.client.post("/simulator/push", data={"follower": OPENID, "kind": kind, **dict(named)})
        assert simulator.finished().outcome is not DeliveryOutcome.NOTICE, kind
        pushed = simulator.last().fields
        assert kind in {pushed["MsgType"], pushed.get("Event")}


def test_nested_fields_arrive_nested(simulator: Simulator) -> None:
    form = {"f/EventKey": "K", "f/ScanCodeInfo/ScanType": "qrcode", "f/ScanCodeInfo/ScanResult": "42"}
    simulator.post("push", kind="scancode_waitmsg", **form)
    assert simulator.finished().fields["ScanCodeInfo"] == {"ScanType": "qrcode", "ScanResult": "42"}


def test_own_xml_is_pushed_with_the_missing_head(simulator: Simulator) -> None:
    simulator.post("push", xml="<xml><MsgType>text</MsgType><Content>帮助</Content><X>1</X></xml>")
    fields = simulator.finished().fields
    assert (fields["X"], fields["FromUserName"]) == ("1", OPENID)
    assert fields["MsgId"].isdigit()


def test_xml_that_is_nested_where_text_belongs_harms_nothing(simulator: Simulator) -> None:
    nested = "<a><kind>1</kind></a>"
    for kind in ("text", "image", "location", "link", "event", nested):
        fields = "".join(
            f"<{name}>{nested}</{name}>" for name in ("Content", "MediaId", "EventKey", "kind", "Event")
        )
        simulator.post("push", xml=f"<xml><MsgType>{kind}</MsgType>{fields}<name>x</name></xml>")
        simulator.finished()
        assert nested not in simulator.page()


@pytest.mark.parametrize(
    "form", [{"xml": "<xml>"}, {"xml": "hello"}, {"fields": "[1]"}, {"fields": "{"}, {"f/A B": "x"}]
)
def test_an_invalid_message_is_refused_with_an_explanation(
    simulator: Simulator, form: dict[str, str]
) -> None:
    answer = simulator.client.post("/simulator/push", data={"follower": OPENID, **form})
    assert answer.status_code == 400
    assert "这不是一条消息" in answer.text
    assert simulator.journal.exchanges(OPENID, 9) == []


def test_everything_can_be_reset(simulator: Simulator) -> None:
    simulator.says("帮助")
    simulator.post("choices", fault="size")
    page = simulator.post("reset")
    assert "发送“帮助”" in text_of(page)
    assert simulator.journal.options().fault == ""


def test_a_browser_that_has_the_page_gets_nothing_new(simulator: Simulator) -> None:
    seen = simulator.client.get("/simulator/").headers["X-Seen"]
    assert simulator.client.get("/simulator/", headers={"X-Seen": seen}).status_code == 204
    simulator.says("帮助")
    assert simulator.client.get("/simulator/", headers={"X-Seen": seen}).status_code == 200
