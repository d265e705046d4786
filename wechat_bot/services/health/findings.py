"""What the doctor may find, and how it is told: one sentence, and one with what to do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from flask_babel import format_timedelta, get_locale, lazy_gettext
from flask_babel import gettext as _

from ...wechat.errcodes import Words
from ...wechat.errors import Refusal
from ..accounts.capabilities import Feature


class Health(StrEnum):
    OK = "ok"
    WARN = "warn"
    FAIL = "fail"
    UNKNOWN = "unknown"
    """Nothing has happened that would tell."""


STEPS = {
    "settings": lazy_gettext("程序设置"),
    "database": lazy_gettext("数据库"),
    "redis": "Redis",
    "worker": lazy_gettext("后台进程"),
    "disk": lazy_gettext("磁盘"),
    "media": lazy_gettext("媒体文件"),
    "url": lazy_gettext("服务器地址（URL）"),
    "path": lazy_gettext("路径"),
    "token": lazy_gettext("令牌（Token）"),
    "clock": lazy_gettext("时钟"),
    "mode": lazy_gettext("消息加解密方式"),
    "key": lazy_gettext("消息加解密密钥（EncodingAESKey）"),
    "app_id": "AppID",
    "message": lazy_gettext("消息格式"),
    "answers": lazy_gettext("5 秒内回应"),
    "https": lazy_gettext("HTTPS 与反向代理"),
    "secret": lazy_gettext("AppSecret 与 IP 白名单"),
    "reach": lazy_gettext("微信眼里的服务器"),
    "capabilities": lazy_gettext("接口权限"),
    "queue": lazy_gettext("发送队列"),
}
"""What is checked, in the order in which one sets it up."""

FEATURES = {
    Feature.CUSTOMER_SERVICE: lazy_gettext("客服消息"),
    Feature.FOLLOWERS: lazy_gettext("粉丝与标签"),
    Feature.MENU: lazy_gettext("自定义菜单"),
    Feature.MEDIA: lazy_gettext("临时素材"),
    Feature.PUBLISH: lazy_gettext("发布"),
    Feature.MASS: lazy_gettext("群发"),
    Feature.TEMPLATES: lazy_gettext("模板消息"),
    Feature.QR_CODES: lazy_gettext("带参数二维码"),
    Feature.OAUTH: lazy_gettext("网页授权"),
    Feature.JS_SDK: "JS-SDK",
    Feature.STATISTICS: lazy_gettext("数据统计"),
}


@dataclass(frozen=True)
class Finding:
    """`said` and `remedy` are formatted with the values of the check that found it."""

    step: str
    code: str
    state: Health
    said: Any
    remedy: Any = ""


@dataclass(frozen=True)
class Check:
    """What was found, and the values that belong to it: times, numbers and words."""

    finding: Finding
    values: Mapping[str, Any] = field(default_factory=dict)

    @property
    def state(self) -> Health:
        return self.finding.state

    @property
    def name(self) -> str:
        return str(STEPS[self.finding.step])

    @property
    def said(self) -> str:
        return self._told(self.finding.said)

    @property
    def remedy(self) -> str:
        return self._told(self.finding.remedy)

    def _told(self, words: Any) -> str:
        return str(words) % {name: localized(value) for name, value in self.values.items()}

    def as_json(self) -> dict[str, Any]:
        finding = self.finding
        return {
            "step": finding.step,
            "code": finding.code,
            "state": finding.state,
            "values": {name: _plain(value) for name, value in self.values.items()},
            "said": self.said,
            "remedy": self.remedy,
        }


def localized(value: Any) -> str:
    """`value` in the reader's language."""
    match value:
        case datetime():
            return ago(value)
        case Words():
            return value.zh if str(get_locale()).startswith("zh") else value.en
        case list() | tuple():
            return str(_("、")).join(localized(each) for each in value)
        case Feature():
            return str(FEATURES[value])
        case _:
            return str(value)


def ago(at: datetime) -> str:
    """How long ago that was, such as "12秒前"."""
    return str(format_timedelta(min(at - datetime.now(UTC), -datetime.resolution), add_direction=True))


def _plain(value: Any) -> Any:
    match value:
        case datetime():
            return value.isoformat(timespec="seconds")
        case Words():
            return {"zh": value.zh, "en": value.en}
        case _:
            return value


def unknown(step: str) -> Finding:
    """Nothing has come that would tell."""
    return Finding(step, "unknown", Health.UNKNOWN, lazy_gettext("还没有收到能说明它的请求。"))


def ok(step: str) -> Finding:
    return Finding(step, "ok", Health.OK, lazy_gettext("正常。"))


SETTINGS_KNOWN = Finding(
    "settings",
    "known_secrets",
    Health.WARN,
    lazy_gettext("SECRET_KEY 或 WECHAT_TOKEN 还是开发用的默认值，别人也知道。"),
    lazy_gettext("在 .env 中换成自己的，并把 Token 填到公众平台。"),
)
DATABASE_NOT_MIGRATED = Finding(
    "database",
    "not_migrated",
    Health.FAIL,
    lazy_gettext("数据库的结构和程序的版本不一致。"),
    lazy_gettext("运行 flask db upgrade，或重新 make run。"),
)
DATABASE_TROUBLE = Finding(
    "database",
    "trouble",
    Health.FAIL,
    lazy_gettext("消息现在存不下来：%(trouble)s。"),
    lazy_gettext("看看数据库是否在运行、DATABASE_URL 是否正确、磁盘是否已满。"),
)
DATABASE_CHARSET = Finding(
    "database",
    "charset",
    Health.FAIL,
    lazy_gettext("数据库的字符集是 %(charset)s，存不下表情符号。"),
    lazy_gettext("运行 ALTER DATABASE %(database)s CHARACTER SET utf8mb4。"),
)
REDIS_AWAY = Finding(
    "redis",
    "unreachable",
    Health.FAIL,
    lazy_gettext("连接不上 REDIS_URL：%(trouble)s。"),
    lazy_gettext("启动 Redis，改正 REDIS_URL，或把它留空。"),
)
REDIS_EXTRA = Finding(
    "redis",
    "not_installed",
    Health.FAIL,
    lazy_gettext("设置了 REDIS_URL，但没有安装 Redis 的客户端。"),
    lazy_gettext("运行 pip install 'wechat-bot[redis]'。"),
)
WORKER_ALIVE = Finding("worker", "alive", Health.OK, lazy_gettext("%(count)s 个在工作，上次出现：%(at)s。"))
WORKER_AWAY = Finding(
    "worker",
    "away",
    Health.FAIL,
    lazy_gettext("没有在工作的后台进程：排队的消息发不出去。"),
    lazy_gettext("运行 flask wechat worker；make run 会自己启动一个。"),
)
DISK_FINE = Finding("disk", "ok", Health.OK, lazy_gettext("剩余 %(free)s。"))
DISK_LOW = Finding(
    "disk",
    "low",
    Health.WARN,
    lazy_gettext("只剩 %(free)s。"),
    lazy_gettext("腾出空间：磁盘满了就存不下消息。"),
)
MEDIA_READ_ONLY = Finding(
    "media",
    "read_only",
    Health.FAIL,
    lazy_gettext("不能写入 %(folder)s：粉丝发来的图片和语音存不下来。"),
    lazy_gettext("让运行程序的用户能写这个文件夹。"),
)
URL_PUSHING = Finding("url", "pushing", Health.OK, lazy_gettext("微信正在正常推送，上次 %(at)s。"))
URL_VERIFIED = Finding(
    "url",
    "verified",
    Health.OK,
    lazy_gettext("微信 %(at)s 验证了地址，还没有推送消息。"),
    lazy_gettext("用手机给公众号发一条消息试试。"),
)
URL_SILENT = Finding(
    "url",
    "silent",
    Health.UNKNOWN,
    lazy_gettext("微信还没有来过。"),
    lazy_gettext(
        "在公众平台“设置与开发 › 开发接口管理 › 服务器配置”中填写 https://<你的域名>/wechat，提交并启用。"
    ),
)
PATH_WRONG = Finding(
    "path",
    "wrong",
    Health.FAIL,
    lazy_gettext("微信把请求发到了 %(detail)s（%(at)s）。"),
    lazy_gettext("把公众平台中的 URL 改成以 /wechat 结尾；如果反向代理改写了路径，就改正它。"),
)
TOKEN_WRONG = Finding(
    "token",
    "wrong",
    Health.FAIL,
    lazy_gettext("请求的签名不对（%(times)s 次，上次 %(at)s），没有一个对过。"),
    lazy_gettext("让公众平台中的 Token 和 WECHAT_TOKEN 一模一样。"),
)
TOKEN_DOUBTED = Finding(
    "token",
    "doubted",
    Health.WARN,
    lazy_gettext("上次正常的请求之后，有请求的签名不对（%(at)s）。"),
    lazy_gettext("如果刚在公众平台改了 Token，就把 WECHAT_TOKEN 也改掉；否则是陌生人，不用理会。"),
)
CLOCK_WRONG = Finding(
    "clock",
    "refused",
    Health.FAIL,
    lazy_gettext("请求的时间和本机的时钟差 %(detail)s 秒（%(at)s），所以被拒绝。"),
    lazy_gettext("校准本机的时钟：打开 NTP 时间同步。"),
)
CLOCK_OFF = Finding(
    "clock",
    "off",
    Health.WARN,
    lazy_gettext("本机的时钟和微信的差 %(seconds)s 秒；差 300 秒就收不到消息。"),
    lazy_gettext("校准本机的时钟：打开 NTP 时间同步。"),
)
MODE_PLAIN_COMES = Finding(
    "mode",
    "plain_in_safe_mode",
    Health.FAIL,
    lazy_gettext("公众平台用的是明文模式，这里要的是安全模式（%(at)s）。"),
    lazy_gettext("在公众平台选择“安全模式”，或设置 WECHAT_MESSAGE_MODE=plain。"),
)
MODE_ENCRYPTED_COMES = Finding(
    "mode",
    "encrypted_without_key",
    Health.FAIL,
    lazy_gettext("公众平台的消息是加密的，这里没有密钥（%(at)s）。"),
    lazy_gettext("把公众平台中的 EncodingAESKey 填到 WECHAT_ENCODING_AES_KEY，或在公众平台选择“明文模式”。"),
)
KEY_WRONG = Finding(
    "key",
    "wrong",
    Health.FAIL,
    lazy_gettext("消息解密失败，密钥不对（%(at)s）。"),
    lazy_gettext("让公众平台中的 EncodingAESKey 和 WECHAT_ENCODING_AES_KEY 一模一样（43 个字符）。"),
)
APP_ID_WRONG = Finding(
    "app_id",
    "wrong",
    Health.FAIL,
    lazy_gettext("消息是给另一个 AppID 的（%(at)s）。"),
    lazy_gettext("把公众平台中的 AppID（开发者 ID）填到 WECHAT_APP_ID。"),
)
MESSAGE_MALFORMED = Finding(
    "message",
    "malformed",
    Health.WARN,
    lazy_gettext("签名正确，但内容看不懂（%(at)s）：%(detail)s"),
    lazy_gettext("在公众平台把数据格式选成 XML；查一查反向代理有没有改动内容。"),
)
ANSWERS_IN_TIME = Finding(
    "answers", "in_time", Health.OK, lazy_gettext("最近 %(count)s 条，最慢 %(slowest)s 毫秒。")
)
ANSWERS_LATE = Finding(
    "answers",
    "late",
    Health.WARN,
    lazy_gettext("最近 %(count)s 条中有 %(late)s 条没有赶上 5 秒。"),
    lazy_gettext("把慢的处理函数标记为 slow=True，再看日志中哪一个最慢。"),
)
HTTPS_UNTRUSTED = Finding(
    "https",
    "untrusted_proxy",
    Health.WARN,
    lazy_gettext("前面有反向代理，但 TRUSTED_PROXIES 是 0：来访地址和 HTTPS 都认不出来。"),
    lazy_gettext("设置 TRUSTED_PROXIES=1（前面有几层代理就填几）。"),
)
HTTPS_MISSING = Finding(
    "https",
    "plain",
    Health.WARN,
    lazy_gettext("控制台是用 http 打开的：密码和聊天内容在路上没有加密。"),
    lazy_gettext("在前面放一个有证书的反向代理，例如 Caddy 或 nginx。"),
)
CLOCK_FAR_OFF = replace(CLOCK_OFF, state=Health.FAIL)
API_PLAYED = Finding(
    "secret",
    "api_played",
    Health.WARN,
    lazy_gettext("模拟器在扮演微信的接口，账号是编出来的。"),
    lazy_gettext(
        "接入真正的公众号：在 .env 中填上 WECHAT_APP_ID 和 WECHAT_APP_SECRET，并清空 WECHAT_API_BASE_URL。"
    ),
)
SECRET_MISSING = Finding(
    "secret",
    "missing",
    Health.WARN,
    lazy_gettext("没有设置 WECHAT_APP_ID 和 WECHAT_APP_SECRET：只能被动回复。"),
    lazy_gettext("要主动发消息、读取粉丝资料，就把公众平台中的 AppID 和 AppSecret 填进来。"),
)
SECRET_UNTRIED = Finding(
    "secret",
    "untried",
    Health.UNKNOWN,
    lazy_gettext("最近 24 小时没有用过。"),
    lazy_gettext("现在检查一次。"),
)
SECRET_WORKS = Finding("secret", "works", Health.OK, lazy_gettext("能取得 access_token，上次 %(at)s。"))
SECRET_REFUSED = Finding(
    "secret",
    "refused",
    Health.FAIL,
    lazy_gettext("微信拒绝了（%(errcode)s）：%(meaning)s。"),
    "%(remedy)s",
)
SECRET_UNREACHABLE = Finding(
    "secret",
    "unreachable",
    Health.FAIL,
    lazy_gettext("连接不上微信的接口：%(trouble)s。"),
    lazy_gettext("查一查本机能否访问 WECHAT_API_BASE_URL，或设置 WECHAT_API_PROXY。"),
)
REACH_FINE = Finding("reach", "ok", Health.OK, lazy_gettext("微信能解析域名并连通：%(addresses)s。"))
REACH_LOSS = Finding(
    "reach",
    "loss",
    Health.WARN,
    lazy_gettext("微信连接 %(addresses)s 时丢包。"),
    lazy_gettext("有的主机不回应 ping，消息照收就没有问题；否则查一查防火墙。"),
)
REACH_REFUSED = Finding(
    "reach",
    "refused",
    Health.WARN,
    lazy_gettext("检测没有成功（%(errcode)s）：%(meaning)s。"),
    "%(remedy)s",
)
CAPABILITIES_REFUSED = Finding(
    "capabilities",
    "refused",
    Health.WARN,
    lazy_gettext("微信说这个账号不能用：%(features)s。"),
    lazy_gettext("这是账号类型或认证决定的；如果刚通过认证，就在“健康”页改成“可用”。"),
)
QUEUE_FAILED = Finding(
    "queue",
    "failed",
    Health.WARN,
    lazy_gettext("%(failed)s 条消息没有发出去，%(unknown)s 条不知道有没有送到。"),
    lazy_gettext("在“健康”页看原因，再决定要不要重发。"),
)

WRONG = {
    Refusal.WRONG_PATH: PATH_WRONG,
    Refusal.BAD_SIGNATURE: TOKEN_WRONG,
    Refusal.OLD_TIMESTAMP: CLOCK_WRONG,
    Refusal.PLAIN_IN_SAFE_MODE: MODE_PLAIN_COMES,
    Refusal.ENCRYPTED_WITHOUT_KEY: MODE_ENCRYPTED_COMES,
    Refusal.WRONG_KEY: KEY_WRONG,
    Refusal.WRONG_APP_ID: APP_ID_WRONG,
    Refusal.MALFORMED: MESSAGE_MALFORMED,
}
"""What a refused request says about the set-up; the others come from strangers."""
