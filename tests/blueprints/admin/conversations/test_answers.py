"""Operators answer: what they see, what the platform gets, and what becomes of it."""

from __future__ import annotations

import io
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import Engine, select, update
from werkzeug.datastructures import FileStorage
from werkzeug.test import TestResponse, encode_multipart

from tests.blueprints.admin.conftest import PAGE, SignIn, newest
from tests.blueprints.admin.conversations.conftest import Operator
from tests.cases import TEXTS
from tests.conftest import APP_SECRET, MakeApp, statements
from tests.files import picture
from wechat_bot.extensions import db
from wechat_bot.models import (
    AuditEntry,
    CannedReply,
    Conversation,
    ConversationStatus,
    Follower,
    LibraryFile,
    MessageLog,
    MessageState,
    Role,
)
from wechat_bot.services.accounts.capabilities import Feature
from wechat_bot.services.audit import Actor
from wechat_bot.services.conversations import canned_replies
from wechat_bot.services.inbox.recovery import recover
from wechat_bot.services.media.library import LibraryError
from wechat_bot.services.messages.records import insert_rows, outgoing_row
from wechat_bot.simulator.sample_files import AMR, MP3, MP4, PNG
from wechat_bot.testing import FakeAPI, FakePlatform
from wechat_bot.wechat.replies import TextReply
from wechat_bot.wiring import services

SEND = "/cgi-bin/message/custom/send"


@pytest.fixture
def app(make_app: MakeApp, api: FakeAPI) -> Flask:
    return make_app(api=api, wechat_app_secret=APP_SECRET)


def answer(operator: Operator, text: str = "您好，在的", **form: Any) -> TestResponse:
    return operator.post(f"{operator.here}/answers", text=text, **form)


def pass_time(app: Flask, **changes: object) -> None:
    """Let messages of operators be so old that they can no longer be taken back."""
    with app.app_context():
        old = datetime.now(UTC) - timedelta(minutes=1)
        mine = MessageLog.origin.startswith("operator:")
        db.session.execute(update(MessageLog).where(mine).values(received_at=old, **changes))
        db.session.commit()


def deliver(app: Flask) -> None:
    pass_time(app)
    with app.app_context():
        recover(db.engine, services(app).outbox, datetime.now(UTC))


def upload(
    operator: Operator, content: bytes, page: str = "answers", form_at: str = "/admin/profile"
) -> TestResponse:
    """Send a file of several megabytes, as a browser does that does not know its type."""
    file = FileStorage(io.BytesIO(content), "a", content_type="application/octet-stream")
    form = {"csrf_token": operator.token(form_at), "text": "", "file": file}
    boundary, body = encode_multipart(form)
    content_type = f"multipart/form-data; boundary={boundary}"
    return operator.client.post(f"{operator.here}/{page}", data=body, content_type=content_type, headers=PAGE)


def padded_mp4(size: int) -> bytes:
    """Return an MP4 file of `size` bytes, the last of which are free space."""
    free = size - len(MP4)
    return MP4 + free.to_bytes(4) + b"free" + bytes(free - 8)


def newest_answer(app: Flask) -> str:
    """Return the path of the message that an operator wrote last."""
    with app.app_context():
        return f"/admin/answers/{newest(db.engine, MessageLog.id)}"


def sent(app: Flask) -> list[tuple[str, str]]:
    """State and error of what operators sent."""
    with app.app_context():
        found = select(MessageLog.state, MessageLog.error).order_by(MessageLog.id)
        rows = db.session.execute(found.where(MessageLog.origin.startswith("operator:")))
        return [(row.state, row.error) for row in rows]


def test_an_answer_arrives_when_it_can_no_longer_be_taken_back(
    operator: Operator, app: Flask, api: FakeAPI
) -> None:
    assert answer(operator).status_code == 303
    services(app).jobs.run_all()
    assert api.sent == [], "it can still be taken back"
    deliver(app)
    assert [each["text"]["content"] for each in api.sent] == ["您好，在的"]
    page = operator.get(operator.here).text
    assert "您好，在的" in page
    assert "剩 4/5 条" in page


def test_an_answer_that_is_taken_back_is_a_draft_again_and_never_sent(
    operator: Operator, app: Flask, api: FakeAPI
) -> None:
    answer(operator, "打错了")
    assert operator.post(f"{newest_answer(app)}/withdraw").status_code == 303
    deliver(app)
    assert api.sent == []
    page = operator.get(operator.here).text
    assert "已撤回" in page
    assert "打错了</textarea>" in page
    assert operator.post(f"{newest_answer(app)}/withdraw").status_code == 409


def test_what_was_sent_cannot_be_taken_back(operator: Operator, app: Flask) -> None:
    answer(operator)
    deliver(app)
    refused = operator.post(f"{newest_answer(app)}/withdraw")
    assert refused.status_code == 409
    assert "已经发出" in refused.text


def test_answers_arrive_in_the_order_in_which_they_were_written(
    operator: Operator, app: Flask, api: FakeAPI
) -> None:
    for text in "一二三":
        answer(operator, text)
    deliver(app)
    assert [each["text"]["content"] for each in api.sent] == ["一", "二", "三"]


def test_the_sixth_answer_is_refused_and_kept_as_a_draft(
    operator: Operator, app: Flask, api: FakeAPI
) -> None:
    for n in range(5):
        answer(operator, str(n))
    answer(operator, "第六条")
    deliver(app)
    assert len(api.sent) == 5
    page = operator.get(operator.here).text
    assert "条数已用完" in page
    assert "第六条</textarea>" in page


def test_a_follower_who_was_silent_for_two_days_cannot_be_answered(
    operator: Operator, app: Flask, platform: FakePlatform, engine: Engine
) -> None:
    written_at = datetime.now(UTC) - timedelta(hours=48, minutes=1)
    platform.follower("oSilent").text("在吗", CreateTime=str(int(written_at.timestamp())))
    silent = Operator(operator.client, newest(engine, Follower.id))
    assert "48 小时内没有发过消息" in silent.get(silent.here).text
    answer(silent)
    assert sent(app) == []


def test_a_follower_who_left_cannot_be_answered(
    operator: Operator, app: Flask, platform: FakePlatform
) -> None:
    platform.unfollow()
    answer(operator)
    assert "已取消关注" in operator.get(operator.here).text
    assert sent(app) == []


def test_the_answers_of_an_account_without_the_api_wait_for_a_push(
    operator: Operator, app: Flask, api: FakeAPI, platform: FakePlatform
) -> None:
    api.errcodes[SEND] = [48001]
    answer(operator)
    deliver(app)
    assert sent(app)[0][0] == MessageState.READY
    page = operator.get(operator.here).text
    assert "对方下次发消息或点菜单时送达" in page
    assert "48001" in page
    answer(operator, "再试")
    assert [state for state, _ in sent(app)] == [MessageState.READY] * 2
    assert api.calls.count(SEND) == 1, "the account is not tried again"
    assert platform.text("帮助") == "您好，在的"
    assert platform.text("帮助") == "再试"


@pytest.mark.parametrize(
    ("errcode", "state", "told"),
    [
        (45015, MessageState.FAILED, "不能回复"),
        (45047, MessageState.FAILED, "条数已用完"),
        (45002, MessageState.FAILED, "再发一次"),
        (-1, MessageState.SENT, "剩 4/5 条"),
    ],
)
def test_what_the_platform_answers_is_told_in_words(
    operator: Operator, app: Flask, api: FakeAPI, errcode: int, state: MessageState, told: str
) -> None:
    services(app).outbox._sleep = lambda seconds: None
    api.errcodes[SEND] = [errcode]
    answer(operator)
    deliver(app)
    assert sent(app)[0][0] == state
    assert told in operator.get(operator.here).text


def test_what_failed_is_sent_again_when_the_operator_wants_it(
    operator: Operator, app: Flask, api: FakeAPI
) -> None:
    api.errcodes[SEND] = [45002]
    answer(operator)
    deliver(app)
    assert operator.post(f"{newest_answer(app)}/retry").status_code == 303
    deliver(app)
    assert sent(app) == [(MessageState.SENT, "")]
    assert len(api.sent) == 1


def test_a_late_answer_that_waits_for_a_push_is_sent_when_the_operator_wants_it(
    operator: Operator, app: Flask, api: FakeAPI, platform: FakePlatform, engine: Engine
) -> None:
    with engine.begin() as connection:
        [account_id] = connection.scalars(select(Follower.account_id))
        row = outgoing_row(account_id, operator.follower_id, TextReply("想好了"), MessageState.READY, "late")
        insert_rows(connection, [row])
    page = operator.get(operator.here).text
    assert "再发一次" in page
    assert "撤回" not in page
    assert operator.post(f"{newest_answer(app)}/withdraw").status_code == 409
    assert operator.post(f"{newest_answer(app)}/retry").status_code == 303
    with app.app_context():
        services(app).outbox.send(operator.follower_id)
    assert [each["text"]["content"] for each in api.sent] == ["想好了"]
    assert "想好了" not in str(platform.text("还在吗")), "the next push does not show it again"


def test_a_picture_is_uploaded_and_sent(operator: Operator, app: Flask, api: FakeAPI) -> None:
    answer(operator, "", file=(io.BytesIO(PNG), "图.png", "image/png"))
    deliver(app)
    [message] = api.sent
    assert message["msgtype"] == "image"
    assert message["image"]["media_id"] not in {"", "-"}
    assert "/admin/media/" in operator.get(operator.here).text


@pytest.mark.parametrize(
    ("content", "name", "kind"),
    [
        (b"<script>alert(1)</script>", "a.jpg", "image/jpeg"),
        (b"", "a.png", "image/png"),
        (b"x", "a", "text/html"),
    ],
)
def test_a_file_that_is_not_what_it_says_is_refused(
    operator: Operator, app: Flask, content: bytes, name: str, kind: str
) -> None:
    answer(operator, "", file=(io.BytesIO(content), name, kind))
    assert sent(app) == []


@pytest.mark.parametrize(
    ("content", "name", "kind"),
    [(AMR, "V.AMR", "voice"), (PNG, "p.png", "image"), (MP4, "v", "video"), (MP3, "m.bin", "voice")],
)
def test_the_kind_of_a_file_is_that_of_its_content(
    operator: Operator, app: Flask, api: FakeAPI, content: bytes, name: str, kind: str
) -> None:
    answer(operator, "", file=(io.BytesIO(content), name, "application/octet-stream"))
    deliver(app)
    assert [message["msgtype"] for message in api.sent] == [kind]


def test_sound_in_mp4_is_refused_with_the_formats_that_can_be_sent(operator: Operator, app: Flask) -> None:
    m4a = b"\0\0\0\x14ftypM4A \0\0\0\0M4A "
    answer(operator, "听听这个", file=(io.BytesIO(m4a), "a.m4a", "audio/x-m4a"))
    assert sent(app) == []
    page = operator.get(operator.here).text
    assert "语音是 AMR 或 MP3" in page
    assert "听听这个</textarea>" in page


def test_files_are_taken_up_to_the_size_that_the_platform_takes(
    operator: Operator, app: Flask, api: FakeAPI
) -> None:
    photo, video = picture("PNG", 1700, 1000), padded_mp4(10 << 20)
    assert 3 << 20 < len(photo) < 10 << 20
    upload(operator, photo)
    upload(operator, video)
    deliver(app)
    assert [message["msgtype"] for message in api.sent] == ["image", "video"]


@pytest.mark.parametrize("content", [AMR * 2000, PNG + bytes(10 << 20), bytes(9 << 20)], ids=len)
def test_a_file_that_is_too_large_or_nothing_is_refused_in_words(
    operator: Operator, app: Flask, content: bytes
) -> None:
    assert upload(operator, content).status_code == 303
    assert "图片和视频不超过 10 MB" in operator.get(operator.here).text
    assert sent(app) == []


def test_only_answers_may_be_large_and_only_those_of_operators(operator: Operator, app: Flask) -> None:
    large = bytes(2 << 20)
    assert upload(operator, large, "draft").status_code == 413
    stranger = Operator(app.test_client(), operator.follower_id)
    assert upload(stranger, large, form_at="/admin/sign-in").status_code == 413


def test_a_card_and_a_menu_are_sent_as_such(operator: Operator, app: Flask, api: FakeAPI) -> None:
    answer(
        operator, kind="news", title="春季新品", description="看看", url="https://example.com/a", pic_url=""
    )
    answer(operator, kind="menu", head="满意吗？", choices="满意\n\n不满意\n", tail="谢谢")
    deliver(app)
    card, menu = api.sent
    assert card["news"]["articles"][0]["title"] == "春季新品"
    assert menu["msgmenu"] == {
        "head_content": "满意吗？",
        "list": [{"id": "101", "content": "满意"}, {"id": "102", "content": "不满意"}],
        "tail_content": "谢谢",
    }
    page = operator.get(operator.here).text
    assert "春季新品" in page
    assert "不满意" in page


def test_the_link_of_a_card_is_one_only_if_it_is_of_the_web(operator: Operator) -> None:
    for url in ("javascript:window.hacked=1", "https://example.com/a"):
        answer(operator, kind="news", title="看看", description="", url=url, pic_url="")
    page = operator.get(operator.here).text
    assert 'href="https://example.com/a"' in page
    assert 'href="javascript:' not in page


def test_a_menu_with_too_many_choices_is_refused_and_kept(
    operator: Operator, app: Flask, api: FakeAPI
) -> None:
    choices = [f"选项{number}" for number in range(1, 13)]
    answer(operator, "", kind="menu", head="选一个", choices="\r\n".join(choices))
    page = operator.get(operator.here).text
    assert "最多 10 个选项" in page
    assert "\n".join(["选一个", *choices]) in page.replace("\r", ""), "it is a draft"
    answer(operator, "", kind="menu", head="选一个", choices="\r\n".join(choices[:10]))
    deliver(app)
    assert [len(menu["msgmenu"]["list"]) for menu in api.sent] == [10]


@pytest.mark.parametrize(
    "form", [{"text": "  "}, {"kind": "menu", "head": "", "choices": "a"}, {"kind": "news"}]
)
def test_an_empty_answer_is_refused(operator: Operator, app: Flask, form: dict[str, str]) -> None:
    assert answer(operator, **{"text": "", **form}).status_code == 400
    assert sent(app) == []


def test_a_text_may_have_as_many_bytes_as_the_platform_takes(operator: Operator, app: Flask) -> None:
    answer(operator, "好" * 682 + "ab")
    answer(operator, "好" * 683)
    assert len(sent(app)) == 1
    assert "好" * 683 in operator.get(operator.here).text, "it is a draft"


def test_line_ends_of_a_form_arrive_and_count_as_one_character(
    operator: Operator, app: Flask, api: FakeAPI
) -> None:
    text = (TEXTS / "M-2048.txt").read_text(encoding="utf-8")
    assert len(text.encode()) == 2048
    answer(operator, text.replace("\n", "\r\n"))
    deliver(app)
    assert [message["text"]["content"] for message in api.sent] == [text]


def test_an_answer_that_is_repeated_with_its_key_is_sent_once(
    operator: Operator, app: Flask, api: FakeAPI, signed_in: SignIn
) -> None:
    for text in ("您好", "您好", "另一条"):
        answer(operator, text, key=f"key of {text}")
    for content in (PNG, PNG):
        answer(operator, "看图", key="a picture", file=(io.BytesIO(content), "a.png"))
    colleague = Operator(signed_in(Role.OPERATOR, "wang").client, operator.follower_id)
    answer(colleague, "您好", key="key of 您好")
    answer(operator, "您好", key="key of 您好")
    deliver(app)
    assert [each.get("text", {}).get("content") for each in api.sent] == [
        "您好",
        "另一条",
        None,
        "看图",
        "您好",
    ]


def test_an_answer_is_the_last_word_of_a_conversation_that_is_done_with_it(
    operator: Operator, app: Flask, engine: Engine
) -> None:
    operator.get(operator.here)
    operator.post(f"{operator.here}/status", status="open")
    answer(operator, "好" * 683, then="done")
    assert status_of(engine) == ConversationStatus.OPEN, "it was refused"
    answer(operator, "不客气", then="done")
    assert status_of(engine) == ConversationStatus.DONE


def status_of(engine: Engine) -> str:
    with engine.connect() as connection:
        return connection.execute(select(Conversation.status)).scalar_one()


def test_a_script_gets_what_was_written_and_a_refusal_in_words(operator: Operator, app: Flask) -> None:
    def send(path: str, **form: str) -> TestResponse:
        form["csrf_token"] = operator.token("/admin/profile")
        headers = {"HX-Request": "true", "Accept": "text/plain", "Accept-Language": "zh"}
        return operator.client.post(path, data=form, headers=headers)

    taken = send(f"{operator.here}/answers", text="您好")
    assert taken.status_code == 200
    assert f'id="m{newest_answer(app).rpartition("/")[2]}"' in taken.text
    assert "剩 4/5 条" in taken.text
    refused = send(f"{operator.here}/answers", text="好" * 683)
    assert refused.status_code == 409
    assert "请分成几条" in refused.text
    withdrawn = send(f"{newest_answer(app)}/withdraw")
    assert "已撤回" in withdrawn.text
    assert "data-draft>您好</output>" in withdrawn.text
    note = send(f"{operator.here}/notes", text="记一笔")
    assert 'class="bubble note"' in note.text
    assert send(f"{operator.here}/notes", text=" ").status_code == 400


def test_several_files_are_sent_together_or_not_at_all(operator: Operator, app: Flask, api: FakeAPI) -> None:
    files = [(io.BytesIO(PNG), "a.png"), (io.BytesIO(b"x"), "b.png")]
    answer(operator, "两张", file=files)
    assert sent(app) == []
    answer(operator, "", file=[(io.BytesIO(PNG), "a.png"), (io.BytesIO(AMR), "b.amr")])
    deliver(app)
    assert [message["msgtype"] for message in api.sent] == ["image", "voice"]


def test_no_file_is_sent_with_a_message_that_cannot_be(operator: Operator, app: Flask) -> None:
    choices = "\n".join(map(str, range(11)))
    for form in ({"kind": "news"}, {"kind": "menu", "head": "选一个", "choices": choices}):
        answer(operator, "请看", file=(io.BytesIO(PNG), "a.png"), **form)
    assert sent(app) == []


def test_a_draft_waits_for_its_author_alone(operator: Operator, signed_in: SignIn) -> None:
    assert operator.post(f"{operator.here}/draft", text="还没写完").status_code == 204
    assert "还没写完</textarea>" in operator.get(operator.here).text
    other = signed_in(Role.OPERATOR, "wang")
    page = other.get(operator.here).text
    assert "还没写完" not in page
    assert "li正在回复" in page


def test_the_follower_sees_that_somebody_writes(operator: Operator, app: Flask, api: FakeAPI) -> None:
    operator.post(f"{operator.here}/draft", text="嗯")
    services(app).jobs.run_all()
    assert api.calls.count("/cgi-bin/message/custom/typing") == 1


def test_viewers_answer_nobody(operator: Operator, signed_in: SignIn, app: Flask) -> None:
    viewer = signed_in(Role.VIEWER, "kan")
    assert 'id="reply"' not in viewer.get(operator.here).text
    assert viewer.post(f"{operator.here}/answers", text="您好").status_code == 403
    assert sent(app) == []


def test_every_answer_is_in_the_audit_log(operator: Operator, app: Flask) -> None:
    answer(operator)
    operator.post(f"{newest_answer(app)}/withdraw")
    with app.app_context():
        entries = db.session.scalars(select(AuditEntry.action).order_by(AuditEntry.id)).all()
    assert entries[-2:] == ["answered", "withdrawn"]


def test_who_answered_is_told_by_name(operator: Operator, app: Flask) -> None:
    answer(operator)
    page = operator.get(operator.here).text
    assert "operator:" not in page
    assert ">li</span>" in page


# Canned replies

ACTOR = Actor(1, "li", "")
PAGE_OF_SHOP = {"app_id": "wx1", "path": "a", "title": "店", "url": "https://t.example"}
CANNED: dict[str, dict[str, Any]] = {
    "text": {"kind": "text", "text": "{{follower|您}}好"},
    "msgmenu": {"kind": "choices", "text": "{{follower|您}}满意吗？", "choices": ["满意", "不满意"]},
    "news": {"kind": "news", "articles": [{"title": "一", "url": "https://t.example"}]},
    "miniprogrampage": {"kind": "mini_program", **PAGE_OF_SHOP, "cover_file_id": 1},
    "music": {"kind": "music", "title": "歌", "url": "https://t.example", "cover_file_id": 1},
    "image": {"kind": "image", "file_id": 1},
}
"""Answers by the messages that they become."""


def add_picture(app: Flask) -> int:
    bot = services(app)
    return bot.library.add(ACTOR, bot.account_id, "价目表.png", PNG)


def add_canned(app: Flask, definition: dict[str, Any]) -> str:
    bot = services(app)
    created = canned_replies.create(
        bot.engine, ACTOR, bot.account_id, {"shortcut": "a", "answer": definition}
    )
    return str(created)


def used(app: Flask) -> list[int]:
    with services(app).engine.connect() as connection:
        return [*connection.scalars(select(CannedReply.used))]


def offered(operator: Operator) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = operator.get(f"{operator.here}/canned.json").get_json()
    return found


@pytest.mark.parametrize("msgtype", CANNED)
def test_a_canned_reply_of_any_kind_is_sent_once(
    operator: Operator, app: Flask, api: FakeAPI, msgtype: str
) -> None:
    add_picture(app)
    reply_id = add_canned(app, CANNED[msgtype])
    assert f'<option value="{reply_id}">' in operator.get(operator.here).text, "it is there without a script"
    for _ in range(2):
        assert answer(operator, "", reply=reply_id, key="one").status_code == 303
    deliver(app)
    [message] = api.sent
    assert message["msgtype"] == msgtype
    if msgtype == "text":
        assert message["text"]["content"] == "您好"
    if msgtype == "msgmenu":
        assert message["msgmenu"]["head_content"] == "您满意吗？"
    assert sent(app) == [(MessageState.SENT, "")]
    page = operator.get(operator.here).text
    assert "未知类型" not in page
    assert used(app) == [1], "a repeated request counts as nothing"


def test_a_file_of_which_the_platform_has_a_copy_is_not_uploaded_again(
    operator: Operator, app: Flask, api: FakeAPI
) -> None:
    add_picture(app)
    reply_id = add_canned(app, CANNED["image"])
    bot = services(app)
    assert bot.library.renew(bot.account_id, datetime.now(UTC)) == 1, "what canned replies need is uploaded"
    answer(operator, "请看", reply=reply_id)
    deliver(app)
    assert [message["msgtype"] for message in api.sent] == ["image", "text"]
    assert api.calls.count("/cgi-bin/media/upload") == 1
    with pytest.raises(LibraryError):
        bot.library.delete(ACTOR, bot.account_id, 1)


def test_what_cannot_be_sent_says_why(operator: Operator, app: Flask) -> None:
    file_id = add_picture(app)
    reply_id = add_canned(app, CANNED["image"])
    with app.app_context():
        db.session.execute(update(LibraryFile).values(deleted_at=datetime.now(UTC)))
        db.session.commit()
    assert file_id == 1
    assert answer(operator, "", reply=reply_id).status_code == 303
    pages = [operator.get(path).text for path in (operator.here, "/admin/canned")]
    for text in (*pages, offered(operator)[0]["problem"]):
        assert "它的文件已从素材里删除" in text
    article = {"title": "茶", "url": "https://t.example"}
    add = {"shortcut": "b", "answer": {"kind": "published", "article_id": "ArT", "article": article}}
    bot = services(app)
    canned_replies.create(bot.engine, ACTOR, bot.account_id, add)
    bot.capabilities.override(ACTOR, bot.account_id, Feature.PUBLISH, False)
    assert "没有发布接口" in operator.get("/admin/canned").text
    canned_replies.delete(bot.engine, ACTOR, bot.account_id, int(reply_id))
    gone = answer(operator, "", reply=reply_id)
    assert gone.status_code == 303
    assert "这条话术已经删除" in operator.get(operator.here).text
    assert sent(app) == []


def test_the_text_of_a_canned_reply_counts_once_as_used_however_often_the_page_asks(
    operator: Operator, app: Flask
) -> None:
    reply_id = add_canned(app, CANNED["text"])
    for _ in range(2):
        assert answer(operator, "您好！", canned=reply_id, key="one").status_code == 303
    assert used(app) == [1]


def test_pages_of_many_canned_replies_take_no_more_statements_than_of_one(
    operator: Operator, app: Flask, engine: Engine
) -> None:
    def count(path: str) -> int:
        with statements() as taken:
            assert operator.get(path).status_code == 200
        return len(taken)

    paths = ("/admin/canned", f"{operator.here}/canned.json")
    add_picture(app)
    add_canned(app, CANNED["image"])
    few = [count(path) for path in paths]
    bot = services(app)
    for number in range(5):
        more = {"shortcut": f"b{number}", "answer": CANNED["image"]}
        canned_replies.create(bot.engine, ACTOR, bot.account_id, more)
    assert [count(path) for path in paths] == few
