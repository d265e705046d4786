"""Explanations of the platform's error codes, with remedies (``wechat-platform.md`` section 8)."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Words:
    """A text in Chinese and English."""

    zh: str
    en: str


@dataclass(frozen=True)
class Explanation:
    meaning: Words
    remedy: Words


def explain(errcode: int, errmsg: str = "") -> Explanation:
    """Return the explanation of `errcode`. Of `errmsg`, only the IP address in a 40164 is included."""
    known = _CATALOGUE.get(errcode)
    if known is None:
        meaning = Words(
            f"本程序不认识的错误码 {errcode}", f"Error code {errcode}, which this program does not know"
        )
        return Explanation(meaning, _LOOK_UP)
    if errcode == 40164 and (address := _address(errmsg)):
        return Explanation(known.meaning, _whitelist(address))
    return known


def _address(errmsg: str) -> str:
    """Return the IP address in ``invalid ip 203.0.113.9 ipv6 ::ffff:203.0.113.9, not in whitelist``."""
    for word in re.findall(r"[0-9A-Fa-f:.]*[:.][0-9A-Fa-f:.]+", errmsg):
        try:
            found = ipaddress.ip_address(word.rstrip("."))
        except ValueError:
            continue
        mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
        return str(mapped or found)
    return ""


def _whitelist(address: str) -> Words:
    return Words(
        f"在公众平台“设置与开发 → 开发接口管理 → IP白名单”中加入 {address}。",
        f"Add {address} to the IP white list in the platform's console.",
    )


# Remedies

_NOTHING = Words("无需处理。", "Nothing is to be done.")
_LATER = Words("稍后再试。", "Try again later.")
_MINUTE = Words("等一分钟以上再试。", "Wait a minute or more, then try again.")
_RESET = Words(
    "到次日零点（北京时间）恢复；急需时清零调用次数，每月次数有限。",
    "It is reset at midnight, Beijing time; in a hurry, clear it, which may be done a few times a month.",
)
_RENEW = Words(
    "程序会自动换一个 access_token 再试一次；若反复出现，检查是否有别的程序在用 /cgi-bin/token 取令牌。",
    "The program fetches another token and tries once more; if it comes back, look for another program that"
    " fetches tokens from /cgi-bin/token.",
)
_DATA = Words("改正所填内容后重新提交。", "Correct what was entered and submit it again.")
_UPLOAD = Words("换成符合要求的文件后重新上传。", "Upload a file that meets the requirements.")
_BUG = Words("这是程序的错误：请带上日志报告。", "This is a mistake of the program: report it with the log.")
_SETTINGS = Words(
    "核对设置中的 WECHAT_APP_ID 与 WECHAT_APP_SECRET 是否与公众平台一致。",
    "Compare WECHAT_APP_ID and WECHAT_APP_SECRET with the platform's console.",
)
_CONSOLE = Words("登录公众平台查看并处理。", "Sign in to the platform's console and settle it there.")
_PENALTY = Words(
    "登录公众平台查看通知中的处罚原因并申诉或整改。",
    "Read the notice of the penalty in the platform's console; appeal or comply.",
)
_PERMISSION = Words(
    "该类型的账号没有此权限：在公众平台“接口权限”中查看，必要时认证。",
    "This kind of account lacks the permission: see the console's list of permissions; verify the account.",
)
_ADMINISTRATOR = Words(
    "请公众号管理员在微信里确认后再试。",
    "Ask the account's administrator to confirm in WeChat, then try again.",
)
_SKIP = Words("无法联系该用户，跳过即可。", "This user cannot be reached; skip him.")
_WAIT_FOR_USER = Words("等用户再次发来消息。", "Wait for the user's next message.")
_AUTHORIZE = Words("让用户重新进行网页授权。", "Send the user through web authorisation again.")
_TEMPLATE = Words(
    "在公众平台核对模板及其字段。", "Compare the template and its fields with the platform's console."
)
_CHECK_HTML = Words("检查正文的 HTML 和用词。", "Check the HTML and the words of the text.")
_SHORTEN = Words("缩短内容或分几次发送。", "Shorten it, or send it in parts.")
_DELETE_SOME = Words("先删除不用的再添加。", "Delete what is not used, then add.")
_THIRD_PARTY = Words(
    "在第三方平台重新授权，或补上所缺的权限。",
    "Authorise the third-party platform again, or grant what it lacks.",
)
_OAUTH_PAGE = Words(
    "在公众平台核对网页授权域名、权限与链接参数。",
    "Compare the domain of web authorisation, the permissions and the link's parameters with the console.",
)
_LOOK_UP = Words(
    "在微信公众平台的开发文档中查找该错误码，并带上日志中的 rid 咨询平台。",
    "Look the code up in the platform's documentation, and ask the platform with the rid in the log.",
)

_ROWS: dict[Words, dict[int, tuple[str, str]]] = {
    _NOTHING: {
        0: ("成功", "Success"),
        40241: ("60 秒内的重复消息，已发过", "The same message within 60 seconds: it was sent already"),
        45065: ("该群发任务已存在", "The mass-sending job exists already"),
        45080: (
            "用户在 30 秒内没有互动，不能显示“正在输入”",
            "“Typing” needs a message within the last 30 seconds",
        ),
        45081: ("“正在输入”已在显示", "“Typing” is shown already"),
    },
    _LATER: {
        -1: ("系统繁忙", "The platform is busy"),
        45061: ("更新过于频繁", "Updated too often"),
        61450: ("客服系统错误", "The customer-service system failed"),
    },
    _MINUTE: {
        42010: ("群发过快", "Mass messages follow too fast"),
        45011: ("接口调用过于频繁", "The API is called too frequently"),
        45066: ("相同 clientmsgid 重试过快", "The same clientmsgid was repeated too fast"),
        53501: ("发布过于频繁", "Published too often"),
        268487001: ("系统繁忙", "The platform is busy"),
        268487002: ("系统繁忙", "The platform is busy"),
        268488001: ("系统繁忙（群发）", "The platform is busy (mass sending)"),
    },
    Words("次日上午 8 点后再取。", "Ask again after eight in the morning of the next day."): {
        61503: ("统计数据尚未就绪", "The statistics are not ready yet"),
    },
    _RESET: {
        45009: ("该接口当天的调用次数已用完", "The daily quota of this API is used up"),
    },
    Words("下个月恢复。", "It is reset next month."): {
        43100: ("行业修改过于频繁，每月一次", "The industry may be changed once a month"),
        48006: ("清零次数已用完，每月 10 次", "Quotas were cleared ten times this month already"),
    },
    Words("等群发次数恢复。", "Wait until the account may send to all again."): {
        45028: ("没有群发次数", "No mass message is left"),
    },
    _RENEW: {
        40001: (
            "access_token 无效或不是最新；取令牌时：AppSecret 错误",
            "The access token is invalid or not the latest; where one is asked for: AppSecret is wrong",
        ),
        40014: ("access_token 不合法", "The access token is invalid"),
        42001: ("access_token 已过期", "The access token has expired"),
    },
    _SKIP: {
        40003: (
            "openid 不合法、未关注或属于别的公众号",
            "The openid is illegal, not a follower, or of another account",
        ),
        43004: ("接收者没有关注", "The receiver does not follow"),
        43005: ("需要好友关系", "The receiver must be a friend"),
        43019: ("接收者在黑名单中", "The receiver is on the blacklist"),
        43101: ("用户没有接受该订阅通知", "The user has not accepted this subscription notice"),
        48002: ("粉丝拒收消息", "The follower refuses messages"),
        49003: ("openid 不属于该 AppID", "The openid does not belong to the AppID"),
        50005: ("用户没有关注", "The user does not follow"),
    },
    _WAIT_FOR_USER: {
        45015: ("距用户上次发消息已超过 48 小时", "The user's last message is older than 48 hours"),
        45047: (
            "这次互动可发的客服消息已用完",
            "The customer-service messages that the user allowed are used up",
        ),
    },
    _AUTHORIZE: {
        40029: ("网页授权的 code 无效", "The code of web authorisation is invalid"),
        40030: ("refresh_token 无效", "The refresh_token is invalid"),
        40163: ("网页授权的 code 已用过", "The code of web authorisation was used already"),
        42002: ("refresh_token 已过期", "The refresh_token has expired"),
        42003: ("网页授权的 code 已过期", "The code of web authorisation has expired"),
        42007: ("用户修改了密码，授权已失效", "The user changed the password; the authorisation has ended"),
    },
    _UPLOAD: {
        40004: ("媒体类型不合法", "The media type is illegal"),
        40005: ("文件类型不合法", "The file type is illegal"),
        40006: ("文件大小不合法", "The file size is illegal"),
        40009: ("图片太大", "The picture is too large"),
        40010: ("语音太大", "The voice file is too large"),
        40011: ("视频太大", "The video is too large"),
        40012: ("缩略图太大", "The thumbnail is too large"),
        40137: ("图片格式不支持", "The picture's format is not supported"),
        45001: ("文件超过大小限制", "The file exceeds the limit"),
        45007: ("语音超过 60 秒", "The voice message is too long"),
        61457: ("客服头像的文件类型无效", "The file type of the agent's picture is invalid"),
    },
    Words("重新上传后再用新的 media_id。", "Upload it again and use the new media_id."): {
        40007: ("media_id 不合法或已过期", "The media_id is illegal or has expired"),
        46001: ("媒体不存在", "The media file does not exist"),
    },
    _SHORTEN: {
        44997: ("图片地址的长度或数量超限", "The picture's address is out of the limit"),
        45002: ("内容超过长度限制", "The content is too long"),
        45003: ("标题太长", "The title is too long"),
        45004: ("描述太长", "The description is too long"),
        45005: ("链接太长", "The link is too long"),
        45006: ("图片链接太长", "The picture's link is too long"),
        45008: ("图文条数过多", "There are too many articles"),
        45012: ("模板太大", "The template is too large"),
        45017: ("分组名太长", "The group's name is too long"),
        45158: ("标签名超过 30 个字符", "The tag's name is longer than 30 characters"),
        9410011: ("短 key 的内容太长或不合法", "What the short key stands for is too long or illegal"),
    },
    _DELETE_SOME: {
        45010: ("菜单过多", "There are too many menus"),
        45018: ("分组过多", "There are too many groups"),
        45026: ("模板数量已达上限", "There are too many templates"),
        45029: ("永久二维码已达上限", "There are too many permanent QR codes"),
        45056: ("标签数量已达上限（100 个）", "There are 100 tags already"),
        45059: ("该用户已有 20 个标签", "The user has 20 tags already"),
        61456: ("客服数量已达上限", "There are too many agents"),
        65405: ("客服数量已达上限", "There are too many agents"),
        88003: ("精选评论过多", "Too many comments are selected"),
        200012: ("订阅模板数量已达上限", "There are too many subscription templates"),
    },
    _DATA: {
        40015: ("菜单类型不合法", "The menu type is illegal"),
        40016: ("菜单按钮的数量不合法", "The number of buttons is illegal"),
        40017: ("按钮类型不合法", "The button's type is illegal"),
        40018: ("按钮名的长度不合法", "The button's name has an illegal length"),
        40019: ("按钮 key 的长度不合法", "The button's key has an illegal length"),
        40020: ("按钮链接的长度不合法", "The button's URL has an illegal length"),
        40021: ("菜单版本号不合法", "The menu's version is illegal"),
        40022: ("子菜单的级数不合法", "The sub-menu's level is illegal"),
        40023: ("子菜单按钮的数量不合法", "The number of sub-buttons is illegal"),
        40024: ("子按钮类型不合法", "The sub-button's type is illegal"),
        40025: ("子按钮名的长度不合法", "The sub-button's name has an illegal length"),
        40026: ("子按钮 key 的长度不合法", "The sub-button's key has an illegal length"),
        40027: ("子按钮链接的长度不合法", "The sub-button's URL has an illegal length"),
        40028: ("菜单的使用者不合法", "The menu's user is illegal"),
        40031: ("openid 列表不合法", "The list of openids is illegal"),
        40032: ("openid 列表的长度不合法", "The list of openids has an illegal length"),
        40039: ("链接的长度不合法", "The URL has an illegal length"),
        40048: ("链接无效", "The URL is invalid"),
        40050: ("分组 id 不合法", "The group's id is illegal"),
        40051: ("分组名不合法", "The group's name is illegal"),
        40054: ("子按钮链接的域名不合法", "The domain of the sub-button's URL is illegal"),
        40055: ("按钮链接的域名不合法", "The domain of the button's URL is illegal"),
        40060: ("article_idx 不合法", "The article_idx is illegal"),
        40066: ("链接不合法或网页已被屏蔽", "The URL is illegal or its page is blocked"),
        40117: ("分组名不合法", "The group's name is illegal"),
        40118: ("media_id 的长度不合法", "The media_id has an illegal length"),
        40119: ("按钮类型错误", "The button's type is wrong"),
        40120: ("子按钮类型错误", "The sub-button's type is wrong"),
        40121: ("media_id 的类型不合法", "The media_id is of an illegal type"),
        40129: ("二维码的场景值无效", "The scene of the QR code is invalid"),
        40130: ("至少需要两个 openid", "At least two openids are needed"),
        40132: ("微信号不合法", "The WeChat ID is illegal"),
        40155: ("不能链接到别的公众号主页", "Links to other accounts' home pages are not allowed"),
        40227: ("标题为空", "The title is empty"),
        44003: ("图文内容为空", "The article is empty"),
        44004: ("文本内容为空", "The text is empty"),
        45016: ("系统分组不能修改", "System groups cannot be changed"),
        45058: ("系统标签不能修改", "System tags cannot be changed"),
        45113: ("卡券不能再群发", "Cards can no longer be mass-sent"),
        45157: ("标签名不合法或已存在", "The tag's name is illegal or exists already"),
        45159: ("标签 id 不合法", "The tag's id is illegal"),
        45169: ("部分用户打标签失败", "Tagging failed for some users"),
        45171: ("部分用户打标签失败", "Tagging failed for some users"),
        46002: ("菜单版本不存在", "This version of the menu does not exist"),
        46003: ("菜单不存在", "There is no menu"),
        46004: ("用户不存在", "The user does not exist"),
        61452: ("客服账号无效", "The agent is invalid"),
        61453: ("客服账号已存在", "The agent exists already"),
        61454: ("客服账号名太长", "The agent's name is too long"),
        61455: ("客服账号名含非法字符", "The agent's name has illegal characters"),
        65301: ("个性化菜单的 menuid 不存在", "The conditional menu's menuid does not exist"),
        65302: ("没有匹配到该用户", "No such user was found"),
        65303: ("还没有默认菜单，先建默认菜单", "There is no default menu yet: create it first"),
        65304: ("匹配规则为空", "The match rule is empty"),
        65305: ("个性化菜单的数量受限", "The number of conditional menus is limited"),
        65306: ("该账号不支持个性化菜单", "The account does not support conditional menus"),
        65307: ("个性化菜单为空", "The conditional menu is empty"),
        65308: ("有按钮没有响应类型", "A button has no action"),
        65309: ("个性化菜单处于关闭状态", "Conditional menus are switched off"),
        65316: ("外部域名超过 3 个", "There are more than 3 external domains"),
        65317: ("链接不合法", "The URL is illegal"),
        65401: ("客服账号无效", "The agent is invalid"),
        65402: ("客服账号没有绑定微信号", "The agent is not bound to a WeChat user"),
        65403: ("客服昵称不合法", "The agent's nickname is illegal"),
        65404: ("客服账号不合法", "The agent's account is illegal"),
        65406: ("客服账号已存在", "The agent exists already"),
        65407: (
            "邀请对象已是本公众号的客服",
            "The invitation failed: the user is an agent of this account already",
        ),
        65408: ("本公众号已邀请过该微信号", "The invitation failed: this WeChat user was invited already"),
        65409: ("邀请的微信号无效", "The invitation failed: the WeChat user is invalid"),
        65410: ("邀请对象绑定的公众号已达上限", "The invitation failed: the user serves too many accounts"),
        65411: ("该客服账号已有待接受的邀请", "The invitation failed: one is waiting already"),
        65412: ("该客服账号已绑定微信号", "The invitation failed: the agent is bound to a WeChat user"),
        65413: ("没有该用户的会话", "There is no session with this user"),
        65414: ("会话正由别的客服接待", "Another agent serves the session"),
        65415: ("指定的客服不在线", "The agent is off-line"),
        88000: ("没有留言权限", "The account has no right to comments"),
        88001: ("留言数据不存在", "There is no such comment data"),
        88002: ("该图文的留言受限", "Comments on the article are limited"),
        88004: ("留言已被用户删除", "The user deleted the comment"),
        88005: ("已经回复过", "The comment was replied to already"),
        88007: ("回复太长或为空", "The reply is too long or empty"),
        88008: ("留言不存在", "The comment does not exist"),
        88010: ("获取留言的数量不合法", "The number of comments asked for is out of range"),
        9410010: ("短 key 的内容为空", "What the short key stands for is empty"),
        9410012: ("短 key 已过期或不存在", "The short key has expired"),
    },
    _CHECK_HTML: {
        45166: ("草稿内容不合法", "The draft's content is invalid"),
        53503: ("草稿没有通过发布检查", "The draft did not pass the check before publishing"),
    },
    Words(
        "先从菜单或自动回复中移除该素材。",
        "Take the material out of the menu or the automatic replies first.",
    ): {
        45060: ("素材正被菜单或自动回复使用", "A menu or an automatic reply uses the material"),
        48005: ("素材正被引用，不能删除", "The material is in use and cannot be deleted"),
    },
    Words("先为这些粉丝取消该标签。", "Take the tag off these followers first."): {
        45057: ("该标签的粉丝超过 10 万，不能直接删除", "The tag has more than 100 000 followers"),
    },
    _TEMPLATE: {
        40036: ("template_id 的长度不合法", "The template_id has an illegal length"),
        40037: ("template_id 不合法或模板已删除", "The template_id is illegal, or the template was deleted"),
        40249: ("模板消息的内容被拦截", "The template message was blocked for its content"),
        43116: ("模板已被封禁", "The template is banned"),
        45027: ("模板与所选行业不符", "The template does not fit the industry"),
        47003: (
            "模板参数不合法，平台的错误信息指明了是哪一个",
            "A template parameter is illegal; errmsg names it",
        ),
        200011: ("账号被封禁，不能使用订阅模板", "The account is banned from subscription templates"),
        200013: ("订阅模板已被封禁", "The subscription template is banned"),
        200014: ("模板 tid 不合法", "The template's tid is wrong"),
        200015: ("订阅模板的参数不合法", "A parameter of the subscription template is wrong"),
        200016: ("参数 start 不合法", "The parameter start is wrong"),
        200017: ("参数 limit 不合法", "The parameter limit is wrong"),
        200018: ("缺少类目 ids", "The categories (ids) are missing"),
        200019: ("类目 ids 不合法", "The categories (ids) are wrong"),
        200020: ("关键词列表 kidList 不合法", "The keyword list kidList is wrong"),
        200021: ("场景描述 sceneDesc 不合法", "The scene's description sceneDesc is wrong"),
        200022: ("订阅模板的参数不合法", "A parameter of the subscription template is wrong"),
    },
    _SETTINGS: {
        40013: ("AppID 不合法", "The AppID is illegal"),
        40125: ("AppSecret 无效", "The AppSecret is invalid"),
    },
    Words("在公众平台解冻或重置 AppSecret。", "Unfreeze or reset the AppSecret in the platform's console."): {
        40243: ("AppSecret 已被冻结", "The AppSecret is frozen"),
    },
    Words(
        "把平台错误信息中的 IP 加入公众平台的 IP 白名单。",
        "Add the IP address that the platform names to the IP white list in its console.",
    ): {
        40164: ("本机 IP 不在白名单中", "This machine's IP address is not in the white list"),
        45035: ("本机 IP 没有登记", "This machine's IP address is not registered"),
    },
    Words("在公众平台填写服务器地址（URL）。", "Enter the server's URL in the platform's console."): {
        40201: ("没有配置回调地址，或地址无效", "There is no callback URL, or it is invalid"),
    },
    _PERMISSION: {
        40200: ("账号类型不允许", "This kind of account may not do it"),
        43104: ("该 AppID 没有权限", "The AppID has no permission"),
        48001: ("该账号没有此接口的权限", "The account has no permission for this API"),
        48008: ("没有该类型消息的权限", "The account has no right to this type of message"),
        50001: ("用户没有授权该接口", "The user has not authorised the API"),
    },
    _PENALTY: {
        48004: ("该接口已被封禁", "The API is banned for this account"),
        50002: ("账号受限", "The account is restricted"),
        50004: ("账号被禁止获取 access_token", "The account may not ask for access tokens"),
        50007: ("账号已冻结或注销", "The account is closed or frozen"),
        53500: ("发布功能被封禁", "Publishing is blocked"),
        70000: ("客服消息的发送受限", "The sending of customer-service messages is restricted"),
    },
    _CONSOLE: {
        45062: ("图文含约定广告，只能在公众平台群发", "The article has an agreement advertisement"),
        45064: ("菜单中的小程序没有关联", "A mini program of the menu is not linked"),
        48003: ("没有同意群发协议", "The agreement on mass sending was not accepted"),
        48021: ("草稿没有手动保存", "The draft was not saved by hand"),
        48022: (
            "草稿由自动保存而来，不能群发",
            "The draft was saved automatically only and cannot be mass-sent",
        ),
        53504: ("需要在公众平台发布", "It must be published in the console"),
        53505: ("需要先手动保存草稿", "The draft must be saved by hand first"),
        65400: ("没有启用新版客服功能", "The customer-service desk is not enabled"),
    },
    Words("核对编号后重新查询。", "Compare the id and ask again."): {
        53502: ("publish_id 无效", "The publish_id is invalid"),
        53600: ("article_id 无效", "The article_id is invalid"),
    },
    _ADMINISTRATOR: {
        89501: ("正在等待管理员确认", "A confirmation by the administrator is pending"),
        89503: ("此次调用需要管理员确认", "The administrator must confirm this call"),
        89504: ("群发正在等待管理员确认", "The mass message waits for the administrator"),
        89505: ("需要管理员确认群发", "The administrator must confirm the mass message"),
    },
    Words(
        "与管理员核实后再试；一小时或一天内同一 IP 不能再调用。",
        "Settle it with the administrator; this IP address is blocked for an hour or a day.",
    ): {
        89506: (
            "管理员拒绝了此 IP，24 小时内不能调用",
            "The administrator refused this IP address: blocked for 24 hours",
        ),
        89507: (
            "管理员拒绝了此 IP，1 小时内不能调用",
            "The administrator refused this IP address: blocked for 1 hour",
        ),
    },
    _BUG: {
        40002: ("grant_type 不合法", "The grant_type is illegal"),
        40008: ("消息类型不合法", "The message type is illegal"),
        40033: ("请求中含 \\uXXXX 转义", "The request has \\uXXXX escapes"),
        40035: ("参数不合法", "A parameter is illegal"),
        40038: ("请求格式不合法", "The request's format is illegal"),
        40097: ("参数错误", "A parameter is wrong"),
        40202: ("回调检测的动作不合法", "The action of the callback check is wrong"),
        40203: ("回调检测的运营商不合法", "The operator of the callback check is wrong"),
        41001: ("缺少 access_token", "The access token is missing"),
        41002: ("缺少 appid", "The appid is missing"),
        41003: ("缺少 refresh_token", "The refresh_token is missing"),
        41004: ("缺少 secret", "The secret is missing"),
        41005: ("缺少媒体数据", "The media data are missing"),
        41006: ("缺少 media_id", "The media_id is missing"),
        41007: ("缺少子菜单", "The sub-menu is missing"),
        41008: ("缺少网页授权的 code", "The code of web authorisation is missing"),
        41009: ("缺少 openid", "The openid is missing"),
        43001: ("需要用 GET 请求", "GET is required"),
        43002: ("需要用 POST 请求", "POST is required"),
        43003: ("需要用 HTTPS 请求", "HTTPS is required"),
        44001: ("媒体文件为空", "The media file is empty"),
        44002: ("POST 的内容为空", "The body is empty"),
        44005: ("列表为空", "The list is empty"),
        45067: ("clientmsgid 太长", "The clientmsgid is too long"),
        45072: ("“正在输入”的命令错误", "The command of “typing” is wrong"),
        45083: ("群发速度不在 0 到 4 之间", "The speed of mass sending is not 0 to 4"),
        45084: ("缺少群发速度", "The speed of mass sending is missing"),
        45086: ("小程序链接的属性无效", "The attribute of a mini-program link is invalid"),
        47001: ("JSON 或 XML 无法解析", "The JSON or XML cannot be parsed"),
        61451: ("参数错误", "A parameter is wrong"),
        61500: ("日期格式错误", "The date's format is wrong"),
        61501: ("日期范围错误", "The span of dates is wrong"),
        63001: ("缺少参数（卡券）", "Parameters are missing (cards)"),
        63002: ("签名无效（卡券）", "The signature is invalid (cards)"),
        65310: ("匹配规则的地区有误（已停用）", "The match rule's region is wrong (withdrawn)"),
        65311: ("匹配规则的国家有误（已停用）", "The match rule's country is wrong (withdrawn)"),
        65312: ("匹配规则的省份有误（已停用）", "The match rule's province is wrong (withdrawn)"),
        65313: ("匹配规则的城市有误（已停用）", "The match rule's city is wrong (withdrawn)"),
        65314: ("匹配规则的地区有误（已停用）", "The match rule's region is wrong (withdrawn)"),
        65320: ("匹配规则含已停用的字段", "The match rule has withdrawn fields"),
        65416: ("聊天记录的参数错误", "A parameter of the message records is wrong"),
        65417: ("聊天记录的时间跨度超过 24 小时", "The span of the message records exceeds 24 hours"),
        76001: ("rid 不存在", "The rid is unknown"),
        76002: ("rid 已过期", "The rid has expired"),
        76003: ("rid 或接口路径不属于该账号", "The rid or the path belongs to another account"),
        76004: ("没有查询该 rid 的权限", "The account has no right to this rid"),
        76021: ("接口路径不存在", "The path is unknown"),
        76022: ("没有该接口路径的权限", "The account has no permission for this path"),
        87009: ("签名无效", "The signature is invalid"),
    },
    _THIRD_PARTY: {
        61003: ("第三方平台未获授权", "The third-party platform is not authorised"),
        61004: (
            "第三方平台的 IP 未登记或缺少功能",
            "The third-party platform's IP address is not registered",
        ),
        61007: ("第三方平台没有该接口的权限", "The API is not granted to the third-party platform"),
        61023: ("第三方平台的 refresh_token 无效", "The third-party platform's refresh_token is invalid"),
    },
    _LOOK_UP: dict.fromkeys(
        range(9001001, 9001011),
        ("摇一摇周边等设备接口的错误", "An error of the APIs for shaking and devices"),
    ),
    _OAUTH_PAGE: {
        10003: ("网页授权的回调域名不对", "The redirect domain of web authorisation is wrong"),
        10004: ("公众号被封禁", "The account is banned"),
        10005: ("没有该授权作用域的权限", "The account has no permission for this scope"),
        10006: ("需要先关注测试号", "The test account must be followed first"),
        10009: ("操作过于频繁", "Web authorisation is used too frequently"),
        10010: ("授权作用域 scope 为空", "The scope is empty"),
        10011: ("redirect_uri 为空", "The redirect_uri is empty"),
        10012: ("appid 为空", "The appid is empty"),
        10013: ("state 为空", "The state is empty"),
        10015: ("公众号没有授权给第三方平台", "The account has not authorised the third-party platform"),
        10016: ("误用了开放平台的 AppID", "An AppID of the Open Platform is used"),
    },
}

_CATALOGUE = {
    errcode: Explanation(Words(*meaning), remedy)
    for remedy, meanings in _ROWS.items()
    for errcode, meaning in meanings.items()
}
