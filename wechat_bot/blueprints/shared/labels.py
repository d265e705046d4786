"""Texts that pages show for the program's own values, such as states, roles and reasons."""

from __future__ import annotations

from typing import Any

from flask_babel import lazy_gettext

from ...models import ConversationStatus, Direction, MessageState, Role
from ...services.accounts.capabilities import PermissionReason
from ...services.media.formats import RefusalReason
from ...services.operators.management import Problem
from ...services.outbox.answers import SendBlock

WORDS: dict[str, dict[str, Any]] = {
    "directions": {Direction.IN: lazy_gettext("收到"), Direction.OUT: lazy_gettext("发出")},
    "kinds": {
        "text": lazy_gettext("文本"),
        "image": lazy_gettext("图片"),
        "voice": lazy_gettext("语音"),
        "video": lazy_gettext("视频"),
        "shortvideo": lazy_gettext("小视频"),
        "location": lazy_gettext("位置"),
        "link": lazy_gettext("链接"),
        "file": lazy_gettext("文件"),
        "miniprogrampage": lazy_gettext("小程序卡片"),
        "event": lazy_gettext("事件"),
        "news": lazy_gettext("图文"),
        "music": lazy_gettext("音乐"),
        "msgmenu": lazy_gettext("菜单消息"),
    },
    "events": {
        "subscribe": lazy_gettext("关注"),
        "unsubscribe": lazy_gettext("取消关注"),
        "scan": lazy_gettext("扫码"),
        "click": lazy_gettext("点击菜单"),
        "view": lazy_gettext("打开链接"),
        "view_miniprogram": lazy_gettext("打开小程序"),
        "location": lazy_gettext("上报位置"),
        "templatesendjobfinish": lazy_gettext("模板消息结果"),
        "masssendjobfinish": lazy_gettext("群发结果"),
        "publishjobfinish": lazy_gettext("发布结果"),
    },
    "states": {
        MessageState.RECEIVED: lazy_gettext("处理中"),
        MessageState.ANSWERED: lazy_gettext("已回应"),
        MessageState.LATE: lazy_gettext("迟到"),
        MessageState.FAILED: lazy_gettext("失败"),
        MessageState.READY: lazy_gettext("待领取"),
        MessageState.QUEUED: lazy_gettext("排队"),
        MessageState.SENDING: lazy_gettext("发送中"),
        MessageState.SENT: lazy_gettext("已发出"),
        MessageState.UNKNOWN: lazy_gettext("结果未知"),
        MessageState.WITHDRAWN: lazy_gettext("已撤回"),
    },
    "statuses": {
        ConversationStatus.OPEN: lazy_gettext("待处理"),
        ConversationStatus.WAITING: lazy_gettext("等待对方"),
        ConversationStatus.DONE: lazy_gettext("已处理"),
    },
}
"""Values of columns, by the kind of value."""

ROLES = {
    Role.VIEWER: lazy_gettext("只读"),
    Role.OPERATOR: lazy_gettext("客服"),
    Role.ADMIN: lazy_gettext("管理员"),
}
PROBLEMS = {
    Problem.NAME: lazy_gettext("名称要有 1 到 64 个字母、数字、汉字或 - _ 等符号，不能有空格。"),
    Problem.NAME_TAKEN: lazy_gettext("已经有叫这个名称的操作员。"),
    Problem.PASSWORD: lazy_gettext("密码要有 10 到 256 个字符。"),
    Problem.PASSWORD_GUESSABLE: lazy_gettext("这个密码太容易猜到：换成几个互不相干的词。"),
    Problem.OWN_PASSWORD: lazy_gettext("现在的密码不对，或者尝试太多次了，请过一会儿再试。"),
    Problem.CODE: lazy_gettext("验证码不对：核对一下手机的时间，再用一个新的验证码。"),
    Problem.TIME_ZONE: lazy_gettext("没有这个时区。"),
    Problem.LAST_ADMIN: lazy_gettext("这是最后一个管理员：先再设一个。"),
    Problem.UNKNOWN: lazy_gettext("没有这个操作员。"),
}
ACTIONS = {
    "sign_in": lazy_gettext("登录"),
    "sign_in_failed": lazy_gettext("登录失败"),
    "locked_out": lazy_gettext("尝试太多，暂停登录"),
    "sign_in_blocked": lazy_gettext("暂停期间尝试登录"),
    "sign_out": lazy_gettext("退出登录"),
    "signed_out_everywhere": lazy_gettext("退出所有浏览器"),
    "session_revoked": lazy_gettext("撤销登录"),
    "operator_created": lazy_gettext("创建操作员"),
    "operator_disabled": lazy_gettext("停用操作员"),
    "operator_enabled": lazy_gettext("启用操作员"),
    "role_changed": lazy_gettext("更改角色"),
    "password_reset": lazy_gettext("重置密码"),
    "password_changed": lazy_gettext("更换密码"),
    "second_factor_on": lazy_gettext("打开两步验证"),
    "second_factor_off": lazy_gettext("关闭两步验证"),
    "recovery_code_used": lazy_gettext("使用恢复码"),
    "alias_changed": lazy_gettext("更改备注名"),
    "tag_added": lazy_gettext("加标签"),
    "tag_removed": lazy_gettext("去掉标签"),
    "sync_started": lazy_gettext("同步粉丝"),
    "status_changed": lazy_gettext("更改对话状态"),
    "assigned": lazy_gettext("分配对话"),
    "starred": lazy_gettext("加星标"),
    "note_added": lazy_gettext("写笔记"),
    "answered": lazy_gettext("回复粉丝"),
    "withdrawn": lazy_gettext("撤回回复"),
    "sent_again": lazy_gettext("重发回复"),
    "canned_saved": lazy_gettext("保存话术"),
    "canned_removed": lazy_gettext("删除话术"),
    "raw_viewed": lazy_gettext("查看原始消息"),
    "exported": lazy_gettext("导出"),
    "simulated": lazy_gettext("使用模拟器"),
    "media_retried": lazy_gettext("重新取回媒体"),
    "capability_changed": lazy_gettext("更改接口权限"),
    "quota_cleared": lazy_gettext("清零调用次数"),
    "audit_exported": lazy_gettext("导出审计记录"),
}
"""Actions of the audit log."""

PERMISSION_REASONS = {
    PermissionReason.OPERATOR: lazy_gettext("管理员决定"),
    PermissionReason.SETTINGS: lazy_gettext("程序的设置"),
    PermissionReason.KIND: lazy_gettext("这类账号"),
    PermissionReason.LEARNED: lazy_gettext("微信说的"),
    PermissionReason.NO_SECRET: lazy_gettext("没有 AppSecret"),
    PermissionReason.UNKNOWN: lazy_gettext("未知，用时再试"),
}
"""What decides whether the account may use a feature."""
SEND_REASONS = {
    PermissionReason.NO_SECRET: lazy_gettext("还没有配置 AppID 和 AppSecret：填进 .env 后重启即可。"),
    PermissionReason.SETTINGS: lazy_gettext("设置 WECHAT_CUSTOMER_SERVICE=no 关掉了它。"),
    PermissionReason.KIND: lazy_gettext("未认证的账号没有客服消息接口；完成微信认证后才有。"),
    PermissionReason.LEARNED: lazy_gettext(
        "微信回答过 48001：账号没有客服消息接口。一天后会再试；已经获得权限的，到“健康”页改回来。"
    ),
    PermissionReason.OPERATOR: lazy_gettext("管理员在“健康”页关掉了它。"),
}
"""Why the account may not send customer-service messages."""
SYNC_REASONS = SEND_REASONS | {
    PermissionReason.KIND: lazy_gettext("未认证的账号没有粉丝列表接口；完成微信认证后才有。"),
    PermissionReason.LEARNED: lazy_gettext(
        "微信回答过 48001：账号没有粉丝列表接口。一天后会再试；已经获得权限的，到“健康”页改回来。"
    ),
}
"""Why the account may not read the list of its followers."""
SEND_BLOCKS = {
    SendBlock.NO_API: lazy_gettext("这个账号不能主动发消息。"),
    SendBlock.SILENT: lazy_gettext("粉丝 48 小时内没有发过消息，微信不允许主动回复；等对方再来一条消息。"),
    SendBlock.USED_UP: lazy_gettext("这个窗口里能发的条数已用完；等对方再来一条消息。"),
    SendBlock.LEFT: lazy_gettext("对方已取消关注，收不到消息。"),
    SendBlock.TOO_LONG: lazy_gettext("文字超过了微信的上限 2048 字节（约 680 个汉字），请分成几条。"),
    SendBlock.GONE: lazy_gettext("这条消息已经发出或被处理了。"),
}
REFUSALS = {
    RefusalReason.EMPTY: lazy_gettext("文件是空的"),
    RefusalReason.FORMAT: lazy_gettext("内容不是这类消息该有的格式"),
    RefusalReason.DAMAGED: lazy_gettext("文件不完整或已损坏"),
    RefusalReason.TOO_LARGE: lazy_gettext("文件太大"),
    RefusalReason.TOO_MANY_PIXELS: lazy_gettext("图片的像素太多"),
    RefusalReason.TOO_LONG: lazy_gettext("录音太长"),
}
