"""Samples of all messages and events that the platform pushes (``wechat-platform.md`` sections 3 and 4)."""

from __future__ import annotations

from ..wechat.xml import Fields

_MEDIA = "mEdIaId_sample"
_SOON = "1798761600"
_PICTURE = {"Count": "1", "PicList": {"item": {"PicMd5Sum": "0f343b0931126a20f133d67c2b018a3b"}}}
_SCANNED = {"ScanType": "qrcode", "ScanResult": "https://www.example.com/t/42"}
_NOTICE = {"TemplateId": "tEmPlAtE_id_0001", "SubscribeStatusString": "accept", "PopupScene": "2"}

MESSAGES: dict[str, Fields] = {
    "text": {"Content": "帮助"},
    "image": {"PicUrl": "http://mmbiz.qpic.cn/mmbiz_jpg/example/0", "MediaId": _MEDIA},
    "voice": {"MediaId": _MEDIA, "Format": "amr", "Recognition": ""},
    "video": {"MediaId": _MEDIA, "ThumbMediaId": _MEDIA},
    "shortvideo": {"MediaId": _MEDIA, "ThumbMediaId": _MEDIA},
    "location": {
        "Location_X": "31.230416",
        "Location_Y": "121.473701",
        "Scale": "16",
        "Label": "上海市黄浦区人民大道",
    },
    "link": {"Title": "时刻表", "Description": "新的时刻表", "Url": "https://www.example.com/timetable"},
    "file": {"Title": "report.pdf", "Description": "", "FileKey": "fIlEkEy", "FileTotalLen": "20480"},
    "miniprogrampage": {
        "Title": "订单 4711",
        "AppId": "wx5f2c9a81d3e4b607",
        "PagePath": "pages/order/index?id=4711",
        "ThumbUrl": "http://mmbiz.qpic.cn/example/0",
        "ThumbMediaId": _MEDIA,
    },
}
"""The fields of a sample by MsgType, without the head and MsgId."""

EVENTS: dict[str, Fields] = {
    "subscribe": {"EventKey": "qrscene_counter-7", "Ticket": "gQH8exampleTicket=="},
    "unsubscribe": {"EventKey": ""},
    "SCAN": {"EventKey": "counter-7", "Ticket": "gQH8exampleTicket=="},
    "LOCATION": {"Latitude": "31.230416", "Longitude": "121.473701", "Precision": "65.000000"},
    "CLICK": {"EventKey": "MENU_HELP"},
    "VIEW": {"EventKey": "https://www.example.com/", "MenuId": "420000000"},
    "view_miniprogram": {"EventKey": "pages/index", "MenuId": "420000000"},
    "scancode_push": {"EventKey": "MENU_SCAN", "ScanCodeInfo": _SCANNED},
    "scancode_waitmsg": {"EventKey": "MENU_SCAN", "ScanCodeInfo": _SCANNED},
    "pic_sysphoto": {"EventKey": "MENU_PIC", "SendPicsInfo": _PICTURE},
    "pic_photo_or_album": {"EventKey": "MENU_PIC", "SendPicsInfo": _PICTURE},
    "pic_weixin": {"EventKey": "MENU_PIC", "SendPicsInfo": _PICTURE},
    "location_select": {
        "EventKey": "MENU_LOC",
        "SendLocationInfo": {
            "Location_X": "31.230416",
            "Location_Y": "121.473701",
            "Scale": "16",
            "Label": "上海市黄浦区人民大道",
            "Poiname": "",
        },
    },
    "TEMPLATESENDJOBFINISH": {"MsgID": "3141592653", "Status": "success"},
    "MASSSENDJOBFINISH": {
        "MsgID": "1000004711",
        "Status": "send success",
        "TotalCount": "100",
        "FilterCount": "80",
        "SentCount": "75",
        "ErrorCount": "5",
    },
    "PUBLISHJOBFINISH": {
        "PublishEventInfo": {
            "publish_id": "2247504711",
            "publish_status": "0",
            "article_id": "aRtIcLeId_0001",
            "article_detail": {
                "count": "1",
                "item": {"idx": "1", "article_url": "https://mp.weixin.qq.com/s/example"},
            },
        }
    },
    "subscribe_msg_popup_event": {"SubscribeMsgPopupEvent": {"List": _NOTICE}},
    "subscribe_msg_change_event": {
        "SubscribeMsgChangeEvent": {
            "List": {"TemplateId": "tEmPlAtE_id_0001", "SubscribeStatusString": "reject"}
        }
    },
    "subscribe_msg_sent_event": {
        "SubscribeMsgSentEvent": {
            "List": {
                "TemplateId": "tEmPlAtE_id_0001",
                "MsgID": "1767226910123456789",
                "ErrorCode": "0",
                "ErrorStatus": "success",
            }
        }
    },
    "kf_create_session": {"KfAccount": "anna@example_wx"},
    "kf_close_session": {"KfAccount": "anna@example_wx"},
    "kf_switch_session": {"FromKfAccount": "anna@example_wx", "ToKfAccount": "bert@example_wx"},
    "qualification_verify_success": {"ExpiredTime": _SOON},
    "qualification_verify_fail": {"FailTime": _SOON, "FailReason": "by time"},
    "naming_verify_success": {"ExpiredTime": _SOON},
    "naming_verify_fail": {"FailTime": _SOON, "FailReason": "by time"},
    "annual_renew": {"ExpiredTime": _SOON},
    "verify_expired": {"ExpiredTime": _SOON},
    "user_info_modified": {"OpenID": "oAbCd1EfGh2IjKl3MnOp4QrSt5Uv", "AppID": "wx5f2c9a81d3e4b607"},
    "user_authorization_revoke": {
        "OpenID": "oAbCd1EfGh2IjKl3MnOp4QrSt5Uv",
        "AppID": "wx5f2c9a81d3e4b607",
        "RevokeInfo": "205",
    },
    "user_authorization_cancellation": {
        "OpenID": "oAbCd1EfGh2IjKl3MnOp4QrSt5Uv",
        "AppID": "wx5f2c9a81d3e4b607",
    },
    "guide_qrcode_scan_event": {
        "GuideScanEvent": {
            "qrcode_guide_account": "guide1",
            "openid": "oAbCd1EfGh2IjKl3MnOp4QrSt5Uv",
            "action": "1",
            "qrcode_info": "",
        }
    },
    "wxa_media_check": {
        "appid": "wx5f2c9a81d3e4b607",
        "trace_id": "967e945cd8a3e458f3c74dcb886068e9",
        "version": "2",
        "result": {"suggest": "pass", "label": "100"},
    },
    "poi_check_notify": {
        "UniqId": "shop-12",
        "PoiId": "271864249",
        "Result": "fail",
        "Msg": "address incomplete",
    },
    "card_pass_check": {"CardId": "pCaRdId_0001"},
    "card_not_pass_check": {"CardId": "pCaRdId_0001", "RefuseReason": "logo"},
    "user_get_card": {
        "CardId": "pCaRdId_0001",
        "IsGiveByFriend": "0",
        "UserCardCode": "226009850808",
        "OuterStr": "counter-7",
    },
    "user_gifting_card": {"CardId": "pCaRdId_0001", "UserCardCode": "226009850808", "IsReturnBack": "0"},
    "user_del_card": {"CardId": "pCaRdId_0001", "UserCardCode": "226009850808"},
    "user_consume_card": {
        "CardId": "pCaRdId_0001",
        "UserCardCode": "226009850808",
        "ConsumeSource": "FROM_API",
    },
    "user_pay_from_pay_cell": {
        "CardId": "pCaRdId_0001",
        "UserCardCode": "226009850808",
        "TransId": "10022403432015000000000",
        "Fee": "10000",
        "OriginalFee": "10000",
    },
    "user_view_card": {"CardId": "pCaRdId_0001", "UserCardCode": "226009850808"},
    "user_enter_session_from_card": {"CardId": "pCaRdId_0001", "UserCardCode": "226009850808"},
    "update_member_card": {
        "CardId": "pCaRdId_0001",
        "UserCardCode": "226009850808",
        "ModifyBonus": "3",
        "ModifyBalance": "0",
    },
    "card_sku_remind": {"CardId": "pCaRdId_0001", "Detail": "the card is running out"},
    "user_authorize_invoice": {"SuccOrderId": "4711", "FailOrderId": "", "Source": "web"},
    "update_invoice_status": {
        "status": "INVOICE_REIMBURSE_INIT",
        "card_id": "pCaRdId_0001",
        "code": "226009850808",
    },
    "WifiConnected": {
        "ConnectTime": "1767225600",
        "ExpireTime": "0",
        "VendorId": "3001224419",
        "PlaceId": "1234",
        "DeviceNo": "DeviceNo",
    },
    "merchant_order": {
        "OrderId": "7197417460812533543",
        "OrderStatus": "2",
        "ProductId": "pDF3iYwktviE3BzU3BKiSWWi9Nkw",
    },
    "user_scan_product": {"KeyStandard": "ean13", "KeyStr": "6901481811083", "Country": "中国"},
    "user_enter_tempsession": {"SessionFrom": "counter-7"},
    "debug_demo": {"debug_str": "debug demo"},
}
"""The fields of a sample by Event, without the head."""
