"""Texts that pages show for the program's own values, such as states, roles and reasons."""

from __future__ import annotations

from typing import Any

from flask_babel import lazy_gettext

from ...models import Change, ConversationStatus, Direction, MessageState, Role
from ...routing.ownership import HandoverReason, Owner
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
        "mpnewsarticle": lazy_gettext("已发布的文章"),
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
        MessageState.WITHHELD: lazy_gettext("没有发出"),
    },
    "statuses": {
        ConversationStatus.OPEN: lazy_gettext("待处理"),
        ConversationStatus.WAITING: lazy_gettext("等待对方"),
        ConversationStatus.DONE: lazy_gettext("已处理"),
    },
    "owners": {
        Owner.BOT: lazy_gettext("机器人"),
        Owner.WAITING: lazy_gettext("等人工"),
        Owner.OPERATOR: lazy_gettext("客服"),
    },
    "changes": {
        Change.CREATED: lazy_gettext("已新建"),
        Change.EDITED: lazy_gettext("已修改"),
        Change.ENABLED: lazy_gettext("已启用"),
        Change.DISABLED: lazy_gettext("已停用"),
        Change.DELETED: lazy_gettext("已删除"),
        Change.RESTORED: lazy_gettext("已恢复"),
        Change.IMPORTED: lazy_gettext("已导入"),
    },
}
"""Values of columns, by the kind of value."""
STATE_MEANINGS = {
    MessageState.RECEIVED: lazy_gettext("程序还在准备回应，微信在等。"),
    MessageState.LATE: lazy_gettext("没有赶上微信等待的时间，准备好后另外发出。"),
    MessageState.READY: lazy_gettext("对方下一次发消息或点链接时送出。"),
    MessageState.QUEUED: lazy_gettext("马上就发。"),
    MessageState.UNKNOWN: lazy_gettext("微信没有回答，可能已经送到。"),
    MessageState.WITHDRAWN: lazy_gettext("发出之前被撤回，对方没有看到。"),
    MessageState.WITHHELD: lazy_gettext("有人接手对话，机器人的这条回答没有发出。"),
}
"""What states mean for the follower, where their names do not tell."""

HANDOVERS = {
    HandoverReason.ASKED: lazy_gettext("粉丝要人工"),
    HandoverReason.RULE: lazy_gettext("规则转人工"),
    HandoverReason.NOT_UNDERSTOOD: lazy_gettext("机器人连续没有听懂，转人工"),
    HandoverReason.ASSISTANT: lazy_gettext("AI 助手转人工"),
    HandoverReason.TAKEN: lazy_gettext("{operator} 接手了对话"),
    HandoverReason.ANSWERED: lazy_gettext("{operator} 回复，接手了对话"),
    HandoverReason.GIVEN_BACK: lazy_gettext("{operator} 把对话交还给机器人"),
    HandoverReason.DONE: lazy_gettext("已处理，对话交还给机器人"),
    HandoverReason.IDLE: lazy_gettext("客服一段时间没有回复，对话自动交还给机器人"),
    HandoverReason.SILENT: lazy_gettext("粉丝很久没有说话，不再等人工"),
}
"""Changes of the owner of a conversation."""

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
    "conversation_taken": lazy_gettext("接手对话"),
    "conversation_given_back": lazy_gettext("交还对话"),
    "handover_policy_changed": lazy_gettext("更改转人工的设置"),
    "note_added": lazy_gettext("写笔记"),
    "answered": lazy_gettext("回复粉丝"),
    "withdrawn": lazy_gettext("撤回回复"),
    "sent_again": lazy_gettext("重发回复"),
    "assistant_saved": lazy_gettext("修改 AI 助手"),
    "assistant_restored": lazy_gettext("恢复 AI 助手"),
    "assistant_tried": lazy_gettext("试问 AI 助手"),
    "model_answer_rated": lazy_gettext("评价 AI 的回答"),
    "suggestion_sent": lazy_gettext("发送机器人的建议"),
    "canned_created": lazy_gettext("新建话术"),
    "canned_saved": lazy_gettext("保存话术"),
    "canned_removed": lazy_gettext("删除话术"),
    "canned_restored": lazy_gettext("恢复话术"),
    "view_saved": lazy_gettext("保存视图"),
    "view_renamed": lazy_gettext("更改视图的名称"),
    "view_removed": lazy_gettext("删除视图"),
    "menu_saved": lazy_gettext("修改菜单草稿"),
    "menu_restored": lazy_gettext("恢复菜单"),
    "menu_published": lazy_gettext("发布菜单"),
    "menu_withdrawn": lazy_gettext("取消发布菜单"),
    "menu_deleted": lazy_gettext("删除菜单"),
    "conditional_menu_created": lazy_gettext("添加个性化菜单"),
    "conditional_menu_moved": lazy_gettext("调整个性化菜单的先后"),
    "conditional_menu_deleted": lazy_gettext("删除个性化菜单"),
    "raw_viewed": lazy_gettext("查看原始消息"),
    "exported": lazy_gettext("导出"),
    "simulated": lazy_gettext("使用模拟器"),
    "sample_data_loaded": lazy_gettext("放入示例数据"),
    "media_retried": lazy_gettext("重新取回媒体"),
    "library_added": lazy_gettext("加素材"),
    "pair_created": lazy_gettext("新建问答"),
    "pair_saved": lazy_gettext("保存问答"),
    "pair_approved": lazy_gettext("采用问答"),
    "pair_deleted": lazy_gettext("删除问答"),
    "pair_restored": lazy_gettext("恢复问答"),
    "pairs_imported": lazy_gettext("导入问答"),
    "document_imported": lazy_gettext("导入文档"),
    "document_approved": lazy_gettext("采用文档"),
    "document_withdrawn": lazy_gettext("不再采用文档"),
    "document_removed": lazy_gettext("删除文档"),
    "articles_imported": lazy_gettext("导入公众号的文章"),
    "materials_imported": lazy_gettext("导入微信上的素材"),
    "library_renamed": lazy_gettext("给素材改名"),
    "library_deleted": lazy_gettext("删除素材"),
    "capability_changed": lazy_gettext("更改接口权限"),
    "quota_cleared": lazy_gettext("清零调用次数"),
    "audit_exported": lazy_gettext("导出审计记录"),
    "backup_taken": lazy_gettext("做备份"),
    "backup_restored": lazy_gettext("恢复备份"),
    "rule_created": lazy_gettext("新建规则"),
    "rule_edited": lazy_gettext("修改规则"),
    "rule_enabled": lazy_gettext("启用规则"),
    "rule_disabled": lazy_gettext("停用规则"),
    "rule_moved": lazy_gettext("移动规则"),
    "rule_deleted": lazy_gettext("删除规则"),
    "rule_restored": lazy_gettext("恢复规则"),
    "rules_imported": lazy_gettext("导入规则"),
    "scenario_added": lazy_gettext("加对话测试"),
    "scenario_edited": lazy_gettext("修改对话测试"),
    "scenario_deleted": lazy_gettext("删除对话测试"),
    "alert_channel_created": lazy_gettext("新建提醒渠道"),
    "alert_channel_saved": lazy_gettext("修改提醒渠道"),
    "alert_channel_deleted": lazy_gettext("删除提醒渠道"),
    "alert_tested": lazy_gettext("测试提醒"),
    "case_added": lazy_gettext("加评测的问题"),
    "case_edited": lazy_gettext("修改评测的问题"),
    "case_deleted": lazy_gettext("删除评测的问题"),
    "evaluation_started": lazy_gettext("开始评测"),
    "question_state_changed": lazy_gettext("处理没答上来的问题"),
    "question_assigned": lazy_gettext("分配没答上来的问题"),
    "follower_exported": lazy_gettext("导出粉丝的个人数据"),
    "erasure_begun": lazy_gettext("开始删除粉丝的个人数据"),
    "erasure_finished": lazy_gettext("删除了粉丝的个人数据"),
    "retention_changed": lazy_gettext("更改数据保留的天数"),
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
LIBRARY_REASONS = SEND_REASONS | {
    PermissionReason.KIND: lazy_gettext(
        "未认证的账号没有临时素材接口，所以用永久素材代替；声音和视频各最多 1000 个。"
    ),
    PermissionReason.LEARNED: lazy_gettext(
        "微信回答过 48001：账号没有临时素材接口，所以用永久素材代替；声音和视频各最多 1000 个。"
    ),
    PermissionReason.OPERATOR: lazy_gettext("管理员在“健康”页关掉了临时素材，所以用永久素材代替。"),
}
"""Why files of the library are not uploaded as temporary media."""
SEND_BLOCKS = {
    SendBlock.NO_API: lazy_gettext("这个账号不能主动发消息。"),
    SendBlock.SILENT: lazy_gettext("粉丝 48 小时内没有发过消息，微信不允许主动回复；等对方再来一条消息。"),
    SendBlock.USED_UP: lazy_gettext("这个窗口里能发的条数已用完；等对方再来一条消息。"),
    SendBlock.LEFT: lazy_gettext("对方已取消关注，收不到消息。"),
    SendBlock.TOO_LONG: lazy_gettext("文字超过了微信的上限 2048 字节（约 680 个汉字），请分成几条。"),
    SendBlock.CANNED_GONE: lazy_gettext("这条话术已经删除。"),
    SendBlock.FILE_GONE: lazy_gettext("它的文件已从素材里删除，先在“话术”里换一个。"),
    SendBlock.NO_MEDIA: lazy_gettext("这个账号没有临时素材接口，不能发送文件。"),
    SendBlock.NO_ARTICLES: lazy_gettext("这个账号没有发布接口，不能发送已发布的文章。"),
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
