"""What each body in ``tests/data`` means, and the vectors there (``wechat-platform.md`` section 2.7)."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeVar

from wechat_bot.wechat.messages import (
    CardEvent,
    ClickEvent,
    CustomerServiceEvent,
    Event,
    FileMessage,
    ImageMessage,
    LinkMessage,
    LocationEvent,
    LocationMessage,
    LocationSelectEvent,
    MassSentEvent,
    Message,
    MiniProgramPageMessage,
    Notice,
    NoticeEvent,
    PersonalDataEvent,
    PhotoEvent,
    PublishedEvent,
    ScanCodeEvent,
    ScanEvent,
    ShortVideoMessage,
    SubscribeEvent,
    TemplateSentEvent,
    TempSessionEvent,
    TextMessage,
    UnsubscribeEvent,
    VerificationEvent,
    VideoMessage,
    ViewEvent,
    VoiceMessage,
)

DATA = Path(__file__).parent.parent / "data"
VECTORS: dict[str, list[dict[str, Any]]] = json.loads((DATA / "vectors.json").read_text(encoding="utf-8"))

ACCOUNT = "gh_1a2b3c4d5e6f"
OPENID = "oAbCd1EfGh2IjKl3MnOp4QrSt5Uv"

M = TypeVar("M", bound=Message)


def body(name: str) -> bytes:
    return (DATA / f"{name}.xml").read_bytes()


def _parsed(cls: type[M], kind: str, at: int, openid: str, **attributes: Any) -> M:
    created = datetime.fromtimestamp(at, UTC)
    return cls(account=ACCOUNT, openid=openid, created_at=created, kind=kind, fields={}, **attributes)


def _message(
    cls: type[M], kind: str, at: int = 1767225600, msg_id: str = "24987654321098765", **more: Any
) -> M:
    return _parsed(cls, kind, at, OPENID, msg_id=msg_id, **more)


def _text(content: str, at: int = 1767225600, **more: Any) -> TextMessage:
    return _message(TextMessage, "text", at, content=content, **more)


def _event(cls: type[M], name: str, at: int = 1767225600, openid: str = OPENID, **more: Any) -> M:
    return _parsed(cls, "event", at, openid, name=name, **more)


_TICKET = "gQH8exampleTicket=="
_ACCEPTED = Notice(template_id="tEmPlAtE_id_0001", status="accept")
_REFUSED = Notice(template_id="tEmPlAtE_id_0002", status="reject")

BODIES: dict[str, Message] = {
    "messages/text": _text("Opening hours?"),
    "messages/text_article_empty": _text("hi"),
    "messages/text_blanks": _text("  两个空格\n第二行 \n"),
    "messages/text_cdata_split": _text("a]]>b"),
    "messages/text_control_character": _text("a\x08b\x1f"),
    "messages/text_declaration": _text("你好"),
    "messages/text_doctype": _text('<!DOCTYPE html><!ENTITY x "y">&x;'),
    "messages/text_emoji": _text("你好 😀👨‍👩‍👧 /::) [旺柴]"),
    "messages/text_empty": _text(""),
    "messages/text_escaped": _text("<a> & 你好"),
    "messages/text_four_byte_chinese": _text("𠮷野家在哪里？𪚥"),
    "messages/text_id_in_cdata": _text("hi"),
    "messages/text_indented": _text("hi"),
    "messages/text_kind_upper_case": _text("hi"),
    "messages/text_long_id": _text("hi", msg_id="18446744073709551615"),
    "messages/text_menu_item": _text("Yes, solved", 1767225601, msg_id="24987654321098766", menu_id="101"),
    "messages/text_menu_item_empty": _text("Yes"),
    "messages/text_other_order": _text("hi"),
    "messages/text_placeholder": _text("【收到不支持的消息类型，暂无法显示】"),
    "messages/text_unknown_fields": _text("hi"),
    "messages/image": _message(
        ImageMessage,
        "image",
        1767225602,
        "24987654321098767",
        media_id="mEdIaId_image_0001",
        pic_url="http://mmbiz.qpic.cn/mmbiz_jpg/example/0",
    ),
    "messages/voice": _message(
        VoiceMessage,
        "voice",
        1767225603,
        "24987654321098768",
        media_id="mEdIaId_voice_0001",
        format="amr",
        media_id_16k="mEdIaId_voice_16k_0001",
        recognition="what time do you open",
    ),
    "messages/voice_without_recognition": _message(
        VoiceMessage, "voice", media_id="mEdIaId_voice_0001", format="speex"
    ),
    "messages/voice_recognition_empty": _message(
        VoiceMessage, "voice", media_id="mEdIaId_voice_0001", format="amr"
    ),
    "messages/video": _message(
        VideoMessage,
        "video",
        1767225604,
        "24987654321098769",
        media_id="mEdIaId_video_0001",
        thumb_media_id="mEdIaId_thumb_0001",
    ),
    "messages/shortvideo": _message(
        ShortVideoMessage, "shortvideo", media_id="mEdIaId_video_0001", thumb_media_id="mEdIaId_thumb_0001"
    ),
    "messages/location": _message(
        LocationMessage,
        "location",
        1767225605,
        "24987654321098770",
        latitude=Decimal("31.230416"),
        longitude=Decimal("121.473701"),
        scale="16",
        label="Huangpu District, Shanghai",
    ),
    "messages/location_without_label": _message(
        LocationMessage,
        "location",
        latitude=Decimal("-33.856784"),
        longitude=Decimal("-0.000001"),
        scale="20",
    ),
    "messages/link": _message(
        LinkMessage,
        "link",
        1767225606,
        "24987654321098771",
        title="Timetable",
        description="New timetable",
        url="https://www.example.com/timetable",
    ),
    "messages/link_without_description": _message(
        LinkMessage, "link", title="时间表", url="https://www.example.com/?a=1&b=2"
    ),
    "messages/file": _message(FileMessage, "file", title="report.pdf", file_key="fIlEkEy_0001"),
    "messages/miniprogrampage": _message(
        MiniProgramPageMessage,
        "miniprogrampage",
        1767225607,
        "24987654321098772",
        title="Order 4711",
        app_id="wx5f2c9a81d3e4b607",
        page_path="pages/order/index?id=4711",
        thumb_url="http://mmbiz.qpic.cn/example/0",
        thumb_media_id="mEdIaId_thumb_0002",
    ),
    "messages/device_event": _message(Message, "device_event", msg_id=""),
    "messages/device_text": _message(Message, "device_text"),
    "messages/unknown": _message(Message, "hologram"),
    "events/subscribe": _event(SubscribeEvent, "subscribe"),
    "events/subscribe_from_payment": _event(
        SubscribeEvent, "subscribe", key="last_trade_no_4200000001202601011234567890"
    ),
    "events/subscribe_key_self_closing": _event(SubscribeEvent, "subscribe"),
    "events/subscribe_scene": _event(
        SubscribeEvent, "subscribe", 1767226000, key="qrscene_counter-7", scene="counter-7", ticket=_TICKET
    ),
    "events/subscribe_scene_prefixed_twice": _event(
        SubscribeEvent, "subscribe", key="qrscene_qrscene_7", scene="qrscene_7", ticket=_TICKET
    ),
    "events/subscribe_upper_case": _event(SubscribeEvent, "subscribe"),
    "events/subscribe_without_key": _event(SubscribeEvent, "subscribe"),
    "events/unsubscribe": _event(UnsubscribeEvent, "unsubscribe", 1767226200),
    "events/unsubscribe_without_key": _event(UnsubscribeEvent, "unsubscribe"),
    "events/scan": _event(ScanEvent, "scan", 1767226100, key="counter-7", ticket=_TICKET),
    "events/scan_lower_case": _event(ScanEvent, "scan", key="4294967295", ticket=_TICKET),
    "events/location": _event(
        LocationEvent,
        "location",
        1767226300,
        latitude=Decimal("31.230416"),
        longitude=Decimal("121.473701"),
        precision=Decimal("65.000000"),
    ),
    "events/click": _event(ClickEvent, "click", 1767226400, key="MENU_HELP"),
    "events/view": _event(ViewEvent, "view", 1767226410, key="https://www.example.com/", menu_id="420000000"),
    "events/view_miniprogram": _event(
        ViewEvent, "view_miniprogram", key="pages/index/index?id=4711", menu_id="420000000"
    ),
    "events/view_without_menu": _event(ViewEvent, "view", key="https://www.example.com/?a=1&b=2"),
    "events/scancode_push": _event(
        ScanCodeEvent, "scancode_push", key="MENU_SCAN", scan_type="barcode", scan_result="CODE_128,123456"
    ),
    "events/scancode_waitmsg": _event(
        ScanCodeEvent,
        "scancode_waitmsg",
        1767226500,
        key="MENU_SCAN",
        scan_type="qrcode",
        scan_result="https://www.example.com/t/42",
    ),
    "events/pic_photo_or_album": _event(
        PhotoEvent,
        "pic_photo_or_album",
        1767226510,
        key="MENU_PIC",
        picture_md5s=("0f343b0931126a20f133d67c2b018a3b",),
    ),
    "events/pic_sysphoto": _event(
        PhotoEvent,
        "pic_sysphoto",
        key="MENU_PIC",
        picture_md5s=("1b5f7c23b5bf75682a53e7b6d163e185", "5a75aaca956d97be686719218f275c6b"),
    ),
    "events/pic_weixin": _event(PhotoEvent, "pic_weixin", key="MENU_PIC"),
    "events/location_select": _event(
        LocationSelectEvent,
        "location_select",
        1767226520,
        key="MENU_LOC",
        latitude="31.23",
        longitude="121.47",
        scale="15",
        label="Shanghai",
    ),
    "events/location_select_empty": _event(LocationSelectEvent, "location_select", key="MENU_LOC"),
    "events/user_enter_tempsession": _event(
        TempSessionEvent, "user_enter_tempsession", session_from="order-4711"
    ),
    "events/template_blocked": _event(
        TemplateSentEvent, "templatesendjobfinish", job_id="3141592653", status="failed:user block"
    ),
    "events/template_lower_case": _event(
        TemplateSentEvent, "templatesendjobfinish", job_id="3141592653", status="failed: system failed"
    ),
    "events/template_sent": _event(
        TemplateSentEvent, "templatesendjobfinish", 1767226600, job_id="3141592653", status="success"
    ),
    "events/mass_refused": _event(
        MassSentEvent,
        "masssendjobfinish",
        job_id="1000004711",
        status="err(20001)",
        total_count=100,
        filter_count=0,
        sent_count=0,
        error_count=0,
    ),
    "events/mass_sent": _event(
        MassSentEvent,
        "masssendjobfinish",
        1767226700,
        "mphelper",
        job_id="1000004711",
        status="send success",
        total_count=100,
        filter_count=80,
        sent_count=75,
        error_count=5,
    ),
    "events/mass_sent_old": _event(
        MassSentEvent,
        "masssendjobfinish",
        job_id="1988",
        status="sendsuccess",
        total_count=100,
        filter_count=80,
        sent_count=75,
        error_count=5,
    ),
    "events/published": _event(
        PublishedEvent,
        "publishjobfinish",
        1767226800,
        publish_id="2247504711",
        publish_status="0",
        article_id="aRtIcLeId_0001",
    ),
    "events/published_other_name": _event(
        PublishedEvent,
        "freepublishjobfinish",
        publish_id="2247504711",
        publish_status="0",
        article_id="aRtIcLeId_0001",
    ),
    "events/publish_failed": _event(
        PublishedEvent, "publishjobfinish", publish_id="2247504711", publish_status="2"
    ),
    "events/notice_change": _event(
        NoticeEvent,
        "subscribe_msg_change_event",
        notices=(Notice(template_id="tEmPlAtE_id_0001", status="reject"),),
    ),
    "events/notice_none": _event(NoticeEvent, "subscribe_msg_popup_event"),
    "events/notice_popup": _event(
        NoticeEvent, "subscribe_msg_popup_event", 1767226900, notices=(_ACCEPTED, _REFUSED)
    ),
    "events/notice_sent": _event(
        NoticeEvent,
        "subscribe_msg_sent_event",
        1767226910,
        notices=(Notice(template_id="tEmPlAtE_id_0001", status="success", msg_id="1767226910123456789"),),
    ),
    "events/kf_close_session": _event(CustomerServiceEvent, "kf_close_session", kf_account="anna@example_wx"),
    "events/kf_create_session": _event(
        CustomerServiceEvent, "kf_create_session", kf_account="anna@example_wx"
    ),
    "events/kf_switch_session": _event(
        CustomerServiceEvent,
        "kf_switch_session",
        1767227000,
        from_kf_account="anna@example_wx",
        to_kf_account="bert@example_wx",
    ),
    "events/annual_renew": _event(VerificationEvent, "annual_renew", expired_time=1798761600),
    "events/naming_verify_fail": _event(
        VerificationEvent, "naming_verify_fail", fail_time=1767225500, fail_reason="by time"
    ),
    "events/naming_verify_success": _event(
        VerificationEvent, "naming_verify_success", expired_time=1798761600
    ),
    "events/qualification_verify_fail": _event(
        VerificationEvent, "qualification_verify_fail", fail_time=1767225500, fail_reason="资料不全"
    ),
    "events/qualification_verify_success": _event(
        VerificationEvent, "qualification_verify_success", expired_time=1798761600
    ),
    "events/verify_expired": _event(VerificationEvent, "verify_expired", 1767227100, expired_time=1767227100),
    "events/user_authorization_cancellation": _event(
        PersonalDataEvent, "user_authorization_cancellation", subject=OPENID
    ),
    "events/user_authorization_revoke": _event(
        PersonalDataEvent,
        "user_authorization_revoke",
        1767227200,
        "oPlatform00000000000000000000",
        subject=OPENID,
        revoke_info="205",
    ),
    "events/user_info_modified": _event(PersonalDataEvent, "user_info_modified", subject=OPENID),
    "events/card_checked": _event(CardEvent, "card_pass_check", card_id="pCaRd_0001"),
    "events/card_gift_paid": _event(CardEvent, "giftcard_pay_done"),
    "events/card_member_updated": _event(
        CardEvent, "update_member_card", card_id="pCaRd_0001", user_card_code="226009850808"
    ),
    "events/card_received": _event(
        CardEvent, "user_get_card", card_id="pCaRd_0001", user_card_code="226009850808"
    ),
    "events/debug_demo": _event(Event, "debug_demo"),
    "events/guide_qrcode_scan": _event(Event, "guide_qrcode_scan_event"),
    "events/invoice": _event(Event, "user_authorize_invoice"),
    "events/invoice_status": _event(Event, "update_invoice_status"),
    "events/poi_check_notify": _event(Event, "poi_check_notify", 1767227300),
    "events/product_scanned": _event(Event, "user_scan_product"),
    "events/shake": _event(Event, "shakearoundusershake"),
    "events/shop_order": _event(Event, "merchant_order"),
    "events/store_audit": _event(Event, "create_map_poi_audit_info"),
    "events/unknown": _event(Event, "hologram_opened", key="K"),
    "events/wifi": _event(Event, "wificonnected"),
    "events/wxa_media_check": _event(Event, "wxa_media_check"),
}
