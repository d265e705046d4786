"""The client and the simulated API, written independently after the documentation, fit together."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from tests.simulator.conftest import CREDENTIALS, NOON, Clock
from wechat_bot.simulator.api import ENDPOINTS
from wechat_bot.simulator.sample_files import AMR, JPEG, MP4, PNG
from wechat_bot.testing import FakeAPI
from wechat_bot.wechat import replies
from wechat_bot.wechat.api import Download, File, WeChatClient, datacube
from wechat_bot.wechat.api.draft import Article
from wechat_bot.wechat.api.material import Video
from wechat_bot.wechat.api.menu import Button
from wechat_bot.wechat.api.outgoing import (
    Choice,
    Images,
    MiniProgramPage,
    MpNews,
    MpNewsArticle,
    MpVideo,
    MsgMenu,
    WxCard,
)
from wechat_bot.wechat.api.templates import MiniProgram
from wechat_bot.wechat.errors import APIError
from wechat_bot.wechat.replies import ImageReply, MusicReply, NewsReply, TextReply, VideoReply, VoiceReply

NOT_CALLED = {"/cgi-bin/token", "/cgi-bin/showqrcode"}
"""Endpoints that the client does not use: another one for tokens, and a picture for browsers."""


class ClientCalls:
    """Calls every method of the client on one simulated account."""

    def __init__(self) -> None:
        self.api = FakeAPI(CREDENTIALS, Clock())
        self.client = WeChatClient(
            CREDENTIALS,
            "https://api.weixin.qq.com",
            self.api.transport,
            clock=self.api.clock,
            sleep=self.api.advance,
        )
        for openid in ("o1", "o2"):
            self.api.follower_acted(openid, "message")

    def users_and_tags(self) -> None:
        client = self.client
        assert client.users.list().openids == ("o1", "o2")
        assert list(client.users.iter_openids()) == ["o1", "o2"]
        client.users.set_remark("o1", "小明")
        assert client.users.get("o1").remark == "小明"
        assert [user.openid for user in client.users.batch(["o1", "o2"])] == ["o1", "o2"]
        with pytest.raises(APIError) as never_moved:
            client.users.moved("wx0000000000000000", ["o1"])
        assert never_moved.value.errcode == 40013
        tag = client.tags.create("老师")
        client.tags.rename(tag.id, "先生")
        client.tags.tag(tag.id, ["o1", "o2"])
        client.tags.untag(tag.id, ["o2"])
        assert client.tags.of("o1") == (tag.id,)
        assert client.tags.openids(tag.id).openids == ("o1",)
        assert list(client.tags.iter_openids(tag.id)) == ["o1"]
        assert [(each.name, each.count) for each in client.tags.list()] == [("星标组", 0), ("先生", 1)]
        client.tags.delete(tag.id)
        client.tags.block(["o2"])
        assert client.tags.blacklist().openids == ("o2",)
        assert list(client.tags.iter_blacklist()) == ["o2"]
        client.tags.unblock(["o2"])

    def menus(self) -> None:
        menu = self.client.menu
        help_ = Button("帮助", "click", key="HELP")
        site = Button("网站", "view", url="https://www.example.com/")
        buttons = (help_, Button("更多", sub_button=(site, help_)))
        menu.create(buttons)
        menuid = menu.add_conditional([site], {"client_platform_type": "2"})
        shown = menu.get()
        assert shown.menu.button == buttons
        assert [each.menuid for each in shown.conditionalmenu] == [menuid]
        assert menu.try_match("o1") == (site,)
        menu.delete_conditional(menuid)
        assert menu.try_match("o1") == buttons
        assert menu.current().button == buttons
        menu.delete()

    def customer_service(self) -> None:
        client, media = self.client, self.client.media
        image = media.upload("image", "图.png", PNG, "image/png").media_id
        voice = media.upload("voice", "a.amr", AMR, "audio/amr").media_id
        video = media.upload("video", "a.mp4", MP4, "video/mp4").media_id
        thumb = media.upload("thumb", "a.jpg", JPEG, "image/jpeg").media_id
        assert media.download(image).content == PNG
        assert media.download(video).content == MP4
        assert media.download_voice(voice).content == AMR
        assert media.upload_image("a.png", PNG, "image/png").startswith("http")
        client.customer.typing("o1")
        client.customer.typing("o1")
        client.customer.typing("o1", on=False)
        agent = "anna@example_wx"
        client.kfaccount.add(agent, "安娜")
        client.customer.send("o1", TextReply("在吗"), kf_account=agent, ai=True)
        for reply in (
            ImageReply(image),
            VoiceReply(voice),
            VideoReply(video, "片"),
            MusicReply(thumb, "歌", "", "https://m.example/", "https://m.example/"),
            NewsReply((replies.Article("一", url="https://a.example/"),)),
            MsgMenu("好吗？", (Choice("1", "是"), Choice("2", "否"))),
            WxCard("p1"),
            MiniProgramPage("页", "wx1", "p", thumb),
        ):
            self.api.follower_acted("o1", "message")
            client.customer.send("o1", reply)
        assert [body["msgtype"] for body in self.api.sent] == [
            "text",
            "image",
            "voice",
            "video",
            "music",
            "news",
            "msgmenu",
            "wxcard",
            "miniprogrampage",
        ]

    def agents(self) -> None:
        kfaccount = self.client.kfaccount
        agent = "bert@example_wx"
        kfaccount.add(agent, "伯特")
        kfaccount.update(agent, "贝特")
        kfaccount.set_picture(agent, File("a.png", PNG, "image/png"))
        kfaccount.invite(agent, "bert_wx")
        kfaccount.open_session(agent, "o1")
        assert kfaccount.session("o1").kf_account == agent
        assert [session.openid for session in kfaccount.sessions(agent)] == ["o1"]
        kfaccount.close_session(agent, "o1")
        assert kfaccount.waiting().count == 0
        assert [each.kf_nick for each in kfaccount.list() if each.kf_account == agent] == ["贝特"]
        assert agent in {each.kf_account for each in kfaccount.online()}
        self.api.follower_acted("o1", "message")
        for text in ("一", "二"):
            self.client.customer.send("o1", TextReply(text), kf_account=agent)
        span = (int(NOON) - 3600, int(NOON) + 3600)
        records = [each for each in kfaccount.iter_records(*span, number=1) if each.worker == agent]
        assert [record.text for record in records] == ["一", "二"]
        assert kfaccount.records(*span).number >= 2
        kfaccount.delete(agent)

    def articles(self) -> None:
        client = self.client
        image = client.material.add("image", "a.png", PNG, "image/png")
        assert image.url
        video = client.material.add_video("a.mp4", MP4, "video/mp4", "片", "短片").media_id
        image_file = client.material.get(image.media_id)
        assert isinstance(image_file, Download)
        assert image_file.content == PNG
        found = client.material.get(video)
        assert isinstance(found, Video)
        assert found.title == "片"
        assert client.material.count().image_count == 1
        assert [item.name for item in client.material.list("video").items] == ["a.mp4"]
        assert [item.media_id for item in client.material.iterate("image")] == [image.media_id]
        client.material.delete(video)

        article = Article(title="一", content="<p>内容</p>", thumb_media_id=image.media_id)
        draft = client.draft.add([article, article])
        client.draft.update(draft, Article("二", "内容", image.media_id), 1)
        assert [each.title for each in client.draft.get(draft)] == ["一", "二"]
        assert client.draft.count() == 1
        assert client.draft.list(content=False).items[0].media_id == draft
        assert [item.media_id for item in client.draft.iterate()] == [draft]
        client.draft.delete(client.draft.add([article]))

        job = client.publish.submit(draft)
        assert client.publish.get(job.publish_id).publish_status == 1
        self.api.advance(2)
        published = client.publish.get(job.publish_id)
        assert (published.publish_status, published.article_detail.count) == (0, 2)
        client.customer.send("o2", MpNewsArticle(published.article_id))
        client.publish.delete(published.article_id, 1)
        assert [each.is_deleted for each in client.publish.article(published.article_id)] == [True, False]
        assert client.publish.list().total == 1
        assert [item.article_id for item in client.publish.iterate()] == [published.article_id]
        self.comments(int(job.msg_data_id))

    def comments(self, article: int) -> None:
        comments = self.client.comments
        comments.open(article)
        number = self.api.follower_commented("o1", article, "好")
        comments.select(article, 0, number)
        comments.reply(article, 0, number, "谢谢")
        assert [each.reply.content for each in comments.list(article).items] == ["谢谢"]
        assert [each.content for each in comments.iterate(article, kind=2)] == ["好"]
        comments.delete_reply(article, 0, number)
        comments.unselect(article, 0, number)
        comments.delete(article, 0, number)
        comments.close(article)

    def mass(self) -> None:
        client = self.client
        job = client.mass.send_to_all(TextReply("大家好"), clientmsgid="job 1")
        self.api.advance(60)
        assert client.mass.send_to_all(TextReply("大家好"), clientmsgid="job 1").msg_id == job.msg_id
        assert client.mass.status(job.msg_id) == "SEND_SUCCESS"
        image = client.media.upload("image", "a.png", PNG, "image/png").media_id
        voice = client.media.upload("voice", "a.amr", AMR, "audio/amr").media_id
        video = client.media.upload("video", "a.mp4", MP4, "video/mp4").media_id
        client.mass.send_to_tag(2, Images((image,)))
        client.mass.send(["o1", "o2"], VoiceReply(voice))
        prepared = client.mass.prepare_video(video, "片", "").media_id
        client.mass.send(["o1", "o2"], MpVideo(prepared, "片", ""))
        client.mass.preview(TextReply("先看"), openid="o1")
        thumb = client.material.add("image", "a.png", PNG, "image/png").media_id
        draft = client.draft.add([Article(title="一", content="内容", thumb_media_id=thumb)])
        assert client.mass.send_to_all(MpNews(draft), ignore_reprint=True).msg_data_id
        client.mass.delete(job.msg_id, 1)
        assert client.mass.status(job.msg_id) == "DELETE"
        client.mass.delete(url="https://mp.weixin.qq.com/s/example")
        client.mass.set_speed(3)
        assert client.mass.speed().speed == 3

    def templates(self) -> None:
        templates, subscribe = self.client.templates, self.client.subscribe
        templates.set_industry("1", "4")
        assert templates.industry().primary_industry.first_class == "IT科技"
        template = templates.add("TM00015", ["名称"])
        assert [each.template_id for each in templates.list()] == [template]
        mini = MiniProgram("wx1", "p")
        data = {"thing1": "咖啡"}
        assert templates.send("o1", template, data, url="https://a.example/", miniprogram=mini)
        assert templates.send("o1", template, data, client_msg_id="m")
        assert templates.send("o1", template, data, client_msg_id="m") == 0
        assert "msginfo" in templates.blocked("1")
        templates.delete(template)
        self.api.follower_accepted("o1", "t1", 7)
        subscribe.send_once("o1", "t1", 7, "题", "好", color="#000000", miniprogram=mini)
        [category] = subscribe.categories()
        title = subscribe.titles([category.id]).items[0]
        kids = [keyword.kid for keyword in subscribe.keywords(str(title.tid)).items[:2]]
        notice = subscribe.add_template(str(title.tid), kids, "预约")
        assert [each.priTmplId for each in subscribe.templates()] == [notice]
        self.api.follower_accepted("o1", notice)
        subscribe.send("o1", notice, {"thing1": "咖啡", "thing2": "明天"}, page="p", miniprogram=mini)
        subscribe.delete_template(notice)

    def codes_and_keys(self) -> None:
        client = self.client
        for scene in (7, "counter-7"):
            assert client.qrcode.create(scene, 60).expire_seconds == 60
            assert client.qrcode.create_permanent(scene).expire_seconds == 0
        assert client.shortkey.fetch(client.shortkey.create("长", 60)).long_data == "长"
        assert client.shortkey.fetch(client.shortkey.create("短")).long_data == "短"

    def web(self) -> None:
        oauth = self.client.oauth
        given = oauth.exchange(self.api.authorise("o1", "snsapi_userinfo"))
        renewed = oauth.refresh(given.refresh_token)
        assert oauth.user(renewed.access_token, "o1").openid == "o1"
        assert oauth.check(renewed.access_token, "o1")
        assert not oauth.check(renewed.access_token, "o2")
        ticket = self.client.jssdk.ticket()
        assert (ticket, self.client.jssdk.ticket("wx_card") != ticket) == (self.client.jssdk.ticket(), True)

    def statistics(self) -> None:
        end = date(2025, 12, 31)
        reports = [each for each in vars(datacube).values() if isinstance(each, datacube.Report)]
        assert len(reports) == 21
        for report in reports:
            begin = end - timedelta(days=report.days - 1)
            assert len(self.client.datacube.get(report, begin, end)) == report.days
            with pytest.raises(APIError) as too_long:
                self.client.datacube.get(report, begin - timedelta(days=1), end)
            assert too_long.value.errcode == 61501

    def account(self) -> None:
        system = self.client.system
        assert system.callback_ips()
        assert system.api_domain_ips()
        assert system.check_callback().ping[0].package_loss == "0%"
        assert system.auto_replies().keyword_autoreply_info == ()
        assert system.quota("/cgi-bin/user/get").quota.daily_limit == 500
        system.clear_quota_of("/cgi-bin/user/get")
        assert system.quota("/cgi-bin/user/get").quota.used == 0
        system.clear_quota()
        system.clear_quota_without_token()
        with pytest.raises(APIError) as failed:
            self.client.users.get("foreign")
        rid = failed.value.errmsg.rsplit("rid: ", 1)[1]
        assert system.failed_call(rid).request_url == "/cgi-bin/user/info"
        before = self.api.token
        system.replace_token()
        assert self.api.token != before


def test_the_client_and_the_simulated_api_know_the_same_paths_and_fields() -> None:
    calls = ClientCalls()
    for family in (
        calls.users_and_tags,
        calls.menus,
        calls.customer_service,
        calls.agents,
        calls.articles,
        calls.mass,
        calls.templates,
        calls.codes_and_keys,
        calls.web,
        calls.statistics,
        calls.account,
    ):
        family()
    assert calls.api.unknown == []
    assert ENDPOINTS.keys() - set(calls.api.calls) == NOT_CALLED
