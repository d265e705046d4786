"""The findings of the doctor: for each, the texts that describe it and say what to do."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

from flask_babel import lazy_gettext as _

from ...wechat.errors import Refusal
from .checks import Finding, Health


def _finding(state: Health, key: str, said: Any, remedy: Any = "", *, alarm: bool = False) -> Finding:
    step, code = key.split(".")
    return Finding(step, code, state, said, remedy, alarm)


_ok = partial(_finding, Health.OK)
_warn = partial(_finding, Health.WARN)
_fail = partial(_finding, Health.FAIL)
_unknown = partial(_finding, Health.UNKNOWN)


def unknown(step: str) -> Finding:
    """Return the finding that no request has shown yet whether the step works."""
    return _unknown(f"{step}.unknown", _("还没有收到能说明它的请求。"))


def ok(step: str) -> Finding:
    """Return the finding that the step works."""
    return _ok(f"{step}.ok", _("正常。"))


SETTINGS_KNOWN = _warn(
    "settings.known_secrets",
    _("SECRET_KEY 或 WECHAT_TOKEN 还是开发用的默认值，别人也知道。"),
    _("在 .env 中换成自己的，并把 Token 填到公众平台。"),
)
SETTINGS_WEAK_TOKEN = _warn(
    "settings.weak_token",
    _("WECHAT_TOKEN 太容易猜到：猜中的人可以冒充粉丝发消息。"),
    _(
        "换成 %(length)s 到 32 个随机的字母和数字：填进 .env 的 WECHAT_TOKEN，"
        "旧的放进 WECHAT_TOKEN_PREVIOUS，重启，再填到公众平台。"
    ),
)
DATABASE_NOT_MIGRATED = _fail(
    "database.not_migrated",
    _("数据库的结构和程序的版本不一致。"),
    _("运行 flask db upgrade，或重新 make run。"),
)
DATABASE_NEWER = _warn(
    "database.newer",
    _("数据库比这个程序新：别处的新版本已经升级了它。消息照常存下来。"),
    _("把这里的程序也更新到新版本。"),
)
DATABASE_TROUBLE = _fail(
    "database.trouble",
    _("消息现在存不下来：%(trouble)s。"),
    _("看看数据库是否在运行、DATABASE_URL 是否正确、磁盘是否已满。"),
)
DATABASE_CHARSET = _fail(
    "database.charset",
    _("数据库的字符集是 %(charset)s，存不下表情符号。"),
    _("运行 ALTER DATABASE %(database)s CHARACTER SET utf8mb4。"),
)
DATABASE_AUTOVACUUM = _warn(
    "database.autovacuum",
    _("PostgreSQL 的 autovacuum 是关的：消息越多，页面和回应越慢。"),
    _("用 PostgreSQL 的管理员运行 ALTER SYSTEM SET autovacuum = on，再运行 SELECT pg_reload_conf()。"),
)
REDIS_AWAY = _fail(
    "redis.unreachable", _("连接不上 REDIS_URL：%(trouble)s。"), _("启动 Redis，改正 REDIS_URL，或把它留空。")
)
REDIS_EXTRA = _fail(
    "redis.not_installed",
    _("设置了 REDIS_URL，但没有安装 Redis 的客户端。"),
    _("运行 pip install 'wechat-bot[redis]'。"),
)
WORKER_ALIVE = _ok("worker.alive", _("%(count)s 个在工作，上次出现：%(at)s。"))
WORKER_AWAY = _fail(
    "worker.away",
    _("没有在工作的后台进程：排队的消息发不出去。"),
    _("运行 flask wechat worker；make run 会自己启动一个。"),
)
DISK_FINE = _ok("disk.ok", _("剩余 %(free)s。"))
DISK_LOW = _warn("disk.low", _("只剩 %(free)s。"), _("腾出空间：磁盘满了就存不下消息。"))
MEDIA_READ_ONLY = _fail(
    "media.read_only",
    _("不能写入 %(folder)s：粉丝发来的图片和语音存不下来。"),
    _("让运行程序的用户能写这个文件夹。"),
)
BACKUP_TAKEN = _ok("backup.taken", _("上次：%(at)s。"))
BACKUP_OLD = _warn(
    "backup.old",
    _("上次备份是 %(at)s：此后收到的消息，磁盘坏了就没有了。"),
    _("看看定时的备份为什么停了，或现在运行 flask wechat backup。"),
)
BACKUP_NEVER = _warn(
    "backup.never",
    _("从来没有备份过：磁盘坏了，消息就都没有了。"),
    _("让 flask wechat backup 每天运行一次（见 docs/backup.zh-CN.md）。"),
)
URL_PUSHING = _ok("url.pushing", _("微信正在正常推送，上次 %(at)s。"))
URL_VERIFIED = _ok(
    "url.verified", _("微信 %(at)s 验证了地址，还没有推送消息。"), _("用手机给公众号发一条消息试试。")
)
URL_SILENT = _unknown(
    "url.silent",
    _("微信还没有来过。"),
    _("在公众平台“设置与开发 › 开发接口管理 › 服务器配置”中填写 https://<你的域名>/wechat，提交并启用。"),
)
PATH_WRONG = _fail(
    "path.wrong",
    _("微信把请求发到了 %(detail)s（%(at)s）。"),
    _("把公众平台中的 URL 改成以 /wechat 结尾；如果反向代理改写了路径，就改正它。"),
)
TOKEN_WRONG = _fail(
    "token.wrong",
    _("请求的签名不对（%(times)s 次，上次 %(at)s），没有一个对过。"),
    _("让公众平台中的 Token 和 WECHAT_TOKEN 一模一样。"),
)
TOKEN_DOUBTED = _warn(
    "token.doubted",
    _("上次正常的请求之后，有请求的签名不对（%(at)s）。"),
    _("如果刚在公众平台改了 Token，就把 WECHAT_TOKEN 也改掉；否则是陌生人，不用理会。"),
)
CLOCK_WRONG = _fail(
    "clock.refused",
    _("请求的时间和本机的时钟差 %(detail)s 秒（%(at)s），所以被拒绝。"),
    _("校准本机的时钟：打开 NTP 时间同步。"),
)
CLOCK_OFF = _warn(
    "clock.off",
    _("本机的时钟和微信的差 %(seconds)s 秒；差 300 秒就收不到消息。"),
    _("校准本机的时钟：打开 NTP 时间同步。"),
)
MODE_PLAIN = _warn(
    "mode.plain",
    _("消息不加密（明文模式）：签名不保护内容，截到一次推送的人能换掉其中的内容。"),
    _("设置 WECHAT_ENCODING_AES_KEY 和 WECHAT_MESSAGE_MODE=safe，重启，再到公众平台选择“安全模式”。"),
)
MODE_PLAIN_COMES = _fail(
    "mode.plain_in_safe_mode",
    _("公众平台用的是明文模式，这里要的是安全模式（%(at)s）。"),
    _("在公众平台选择“安全模式”，或设置 WECHAT_MESSAGE_MODE=plain。"),
)
MODE_ENCRYPTED_COMES = _fail(
    "mode.encrypted_without_key",
    _("公众平台的消息是加密的，这里没有密钥（%(at)s）。"),
    _("把公众平台中的 EncodingAESKey 填到 WECHAT_ENCODING_AES_KEY，或在公众平台选择“明文模式”。"),
)
KEY_WRONG = _fail(
    "key.wrong",
    _("消息解密失败，密钥不对（%(at)s）。"),
    _("让公众平台中的 EncodingAESKey 和 WECHAT_ENCODING_AES_KEY 一模一样（43 个字符）。"),
)
APP_ID_WRONG = _fail(
    "app_id.wrong",
    _("消息是给另一个 AppID 的（%(at)s）。"),
    _("把公众平台中的 AppID（开发者 ID）填到 WECHAT_APP_ID。"),
)
MESSAGE_MALFORMED = _warn(
    "message.malformed",
    _("签名正确，但内容看不懂（%(at)s）：%(detail)s"),
    _("在公众平台把数据格式选成 XML；查一查反向代理有没有改动内容。"),
)
PROGRAM_FAULT = _fail(
    "program.fault",
    _("程序处理消息时出错（共 %(times)s 次，上次 %(at)s）：%(detail)s"),
    _("在日志中找到那个时间的 Traceback，把它报告给开发者。"),
)
PROGRAM_FAULT_BEFORE = replace(PROGRAM_FAULT, state=Health.WARN)
ANSWERS_IN_TIME = _ok("answers.in_time", _("最近 %(count)s 条，最慢 %(slowest)s 毫秒。"))
ANSWERS_LATE = _warn(
    "answers.late",
    _("最近 %(count)s 条中有 %(late)s 条没有赶上 5 秒。"),
    _("把慢的处理函数标记为 slow=True，再看日志中哪一个最慢。"),
)
SLOW_HANDLERS_FINE = _ok("slow_handlers.ok", _("%(running)s 个在运行，%(queued)s 条消息在排队。"))
SLOW_HANDLERS_DELAYED = _warn(
    "slow_handlers.delayed",
    _("有消息排队已经 %(seconds)s 秒，还没有开始处理。"),
    _("调大 WECHAT_SLOW_HANDLERS，增加进程（WEB_WORKERS），或让处理函数更快。"),
    alarm=True,
)
SLOW_HANDLERS_BUSY = _warn(
    "slow_handlers.busy",
    _("有 %(running)s 个在运行，最多 %(limit)s 个；再多就要排队。"),
    _("调大 WECHAT_SLOW_HANDLERS，增加进程（WEB_WORKERS），或让处理函数更快。"),
    alarm=True,
)
SLOW_HANDLERS_AWAITED = _warn(
    "slow_handlers.awaited",
    _("一个进程中有 %(waiting)s 条消息的推送在等回答，最多 %(limit)s 条；再多就不等了，回答会晚到。"),
    _("调大 WEB_THREADS，增加进程（WEB_WORKERS），或让处理函数更快。"),
    alarm=True,
)
ASSISTANT_FINE = _ok("assistant.ok", _("今天的预算用了 %(percent)s%%。"))
ASSISTANT_BUDGET_LOW = _warn(
    "assistant.budget_low",
    _("今天的预算用了 %(percent)s%%；用完以后，AI 助手到明天才再回答。"),
    _("在“AI 助手”页调高每天的 token 或费用，或者看看是谁问了这么多。"),
    alarm=True,
)
ASSISTANT_BUDGET_USED_UP = _fail(
    "assistant.budget_used_up",
    _("今天的预算用完了：AI 助手不再回答，粉丝得到的是没有它时的回答。"),
    _("在“AI 助手”页调高每天的 token 或费用；不调就等到明天。"),
)
HTTPS_UNTRUSTED = _warn(
    "https.untrusted_proxy",
    _("前面有反向代理，但 TRUSTED_PROXIES 是 0：来访地址和 HTTPS 都认不出来。"),
    _("设置 TRUSTED_PROXIES=1（前面有几层代理就填几）。"),
)
HTTPS_MISSING = _warn(
    "https.plain",
    _("控制台是用 http 打开的：密码和聊天内容在路上没有加密。"),
    _("在前面放一个有证书的反向代理，例如 Caddy 或 nginx。"),
)
CLOCK_FAR_OFF = replace(CLOCK_OFF, state=Health.FAIL)
API_SIMULATED = _warn(
    "secret.api_played",
    _("模拟器在扮演微信的接口，账号是编出来的。"),
    _("接入真正的公众号：在 .env 中填上 WECHAT_APP_ID 和 WECHAT_APP_SECRET，并清空 WECHAT_API_BASE_URL。"),
)
SECRET_MISSING = _warn(
    "secret.missing",
    _("没有设置 WECHAT_APP_ID 和 WECHAT_APP_SECRET：只能被动回复。"),
    _("要主动发消息、读取粉丝资料，就把公众平台中的 AppID 和 AppSecret 填进来。"),
)
SECRET_UNTRIED = _unknown("secret.untried", _("最近 24 小时没有用过。"), _("现在检查一次。"))
SECRET_WORKS = _ok("secret.works", _("能取得 access_token，上次 %(at)s。"))
SECRET_REFUSED = _fail("secret.refused", _("微信拒绝了（%(errcode)s）：%(meaning)s。"), "%(remedy)s")
SECRET_UNREACHABLE = _fail(
    "secret.unreachable",
    _("连接不上微信的接口：%(trouble)s。"),
    _("查一查本机能否访问 WECHAT_API_BASE_URL，或设置 WECHAT_API_PROXY。"),
)
REACH_FINE = _ok("reach.ok", _("微信能解析域名并连通：%(addresses)s。"))
REACH_LOSS = _warn(
    "reach.loss",
    _("微信连接 %(addresses)s 时丢包。"),
    _("有的主机不回应 ping，消息照收就没有问题；否则查一查防火墙。"),
)
REACH_REFUSED = _warn("reach.refused", _("检测没有成功（%(errcode)s）：%(meaning)s。"), "%(remedy)s")
IMPORT_WAITS = _warn(
    "import.waits",
    _("公众平台后台有 %(replies)s 条自动回复、%(buttons)s 个带回答的按钮，没有导入：启用服务器后就失效了。"),
    _("启用服务器以前，由管理员在控制台的 /admin/import 导入。"),
)
CAPABILITIES_REFUSED = _warn(
    "capabilities.refused",
    _("微信说这个账号不能用：%(features)s。"),
    _("这是账号类型或认证决定的；如果刚通过认证，就在“健康”页改成“可用”。"),
)
QUEUE_FAILED = _warn(
    "queue.failed",
    _("%(failed)s 条消息没有发出去，%(unknown)s 条不知道有没有送到。"),
    _("在“健康”页看原因，再决定要不要重发。"),
)
ALERTS_FAILED = _warn(
    "alerts.failed",
    _("这些提醒渠道一个小时以来没有送到过：%(names)s。"),
    _("由管理员在控制台的 /admin/alerts 看原因，改好后按“测试”。"),
    alarm=True,
)

FINDINGS_BY_REFUSAL = {
    Refusal.WRONG_PATH: PATH_WRONG,
    Refusal.BAD_SIGNATURE: TOKEN_WRONG,
    Refusal.OLD_TIMESTAMP: CLOCK_WRONG,
    Refusal.PLAIN_IN_SAFE_MODE: MODE_PLAIN_COMES,
    Refusal.ENCRYPTED_WITHOUT_KEY: MODE_ENCRYPTED_COMES,
    Refusal.WRONG_KEY: KEY_WRONG,
    Refusal.WRONG_APP_ID: APP_ID_WRONG,
    Refusal.MALFORMED: MESSAGE_MALFORMED,
}
"""Findings for refused requests that indicate a wrong set-up. Other refused requests come from strangers."""
