"""Generates pushes as the platform sends them, writes them to files for ``wrk``, and checks answers."""

from __future__ import annotations

import base64
import hashlib
import random
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from wechat_bot.testing import FakePlatform, Send, http_sender
from wechat_bot.wechat.credentials import Credentials, Mode
from wechat_bot.wechat.replies import TextReply

TOKEN = "benchmarks2026"
AES_KEY = "h7Vw2KqzN5xRb8mTc4JdYf1GpL9sEa6UoXi3ZtWnQyM"
APP_ID = "wx8c1f0a5b7d92e346"
ACCOUNT_ENVIRONMENT = {"WECHAT_TOKEN": TOKEN, "WECHAT_APP_ID": APP_ID, "WECHAT_ENCODING_AES_KEY": AES_KEY}
"""The account of all servers, as environment variables of wechat_bot and the peers."""

OPENIDS = 10_000
"""Number of followers, who write equally often."""
FILES = 2
"""Number of files with requests, one for each thread of wrk."""
_VOCABULARY = """
你好 请问 在吗 谢谢 营业时间 地址 怎么走 停车 订单 快递 发货 退款 换货 发票 会员 积分 优惠券
价格 多少钱 有没有 现货 尺码 颜色 预约 取消 改期 明天 下午 周末 几点 开门 老师 课程 报名
活动 人工 客服 密码 登录 绑定 手机号 验证码 收不到 什么时候 可以吗 好的 收到 麻烦 一下 帮我 查询
"""
_WORDS = _VOCABULARY.split()


class WrongAnswer(Exception):
    """A server does not answer as the platform requires."""


def credentials(mode: Mode) -> Credentials:
    return Credentials(tokens=(TOKEN,), mode=mode, app_id=APP_ID, aes_keys=(AES_KEY,))


def openid(number: int) -> str:
    digest = hashlib.sha256(f"follower {number}".encode()).digest()
    return "o" + base64.urlsafe_b64encode(digest).decode()[:27]


def text(rng: random.Random) -> str:
    """Return one to six words that match no handler."""
    return "".join(rng.choices(_WORDS, k=rng.randint(1, 6)))


def pushes(mode: Mode, numbers: range, base: int, followers: int = OPENIDS) -> Iterator[tuple[str, bytes]]:
    """Yield query string and body of pushes; a MsgId is `base` plus the number of the push.

    Each has its own timestamp and nonce. Followers take turns in a random order.
    """
    platform = FakePlatform(credentials(mode), _refuse_to_send)
    order = random.Random(1).sample(range(followers), followers)
    rng = random.Random(numbers.start)
    for number in numbers:
        fields = platform.message(
            "text",
            FromUserName=openid(order[number % followers]),
            Content=text(rng),
            MsgId=str(base + number),
        )
        query, body, _ = platform.request(fields)
        yield query, body


def _refuse_to_send(method: str, query: str, body: bytes, timeout: float) -> tuple[int, bytes]:
    raise NotImplementedError("these requests are only written to files")


def write(mode: Mode, directory: Path, count: int) -> None:
    """Write `count` requests that differ from each other and from all written before."""
    base = time.time_ns()
    with ProcessPoolExecutor(FILES) as pool:
        written = [
            pool.submit(_write_file, mode, directory / f"requests.{first}", range(first, count, FILES), base)
            for first in range(FILES)
        ]
        for file in written:
            file.result()


def _write_file(mode: Mode, path: Path, numbers: range, base: int) -> None:
    """Write requests for wrk, separated by zero bytes."""
    path.write_bytes(b"\0".join(_http(*push) for push in pushes(mode, numbers, base)))


def _http(query: str, body: bytes) -> bytes:
    head = (
        f"POST /wechat?{query} HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: Mozilla/4.0\r\nAccept: */*\r\n"
        f"Content-Type: text/xml\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def check(url: str, mode: Mode, count: int = 30) -> None:
    """Push a message of each of `count` followers and check the answers.

    :raises WrongAnswer: when status, signature, encryption or addresses are wrong, or the reply is no text.
    """
    platform = FakePlatform(credentials(mode), _lenient_sender(url))
    rng = random.Random()
    for number in range(count):
        follower = platform.follower(openid(number))
        attempt = follower.push_once(follower.message("text", Content=text(rng)))
        if attempt.problem or not isinstance(attempt.reply, TextReply):
            raise WrongAnswer(f"answers wrongly: {attempt.problem or 'no text'}")


def _lenient_sender(url: str) -> Send:
    """Return a function that sends to `url` and strips the whitespace that some peers put around answers."""
    send = http_sender(url)

    def send_and_strip(method: str, query: str, body: bytes, timeout: float) -> tuple[int, bytes]:
        status, answer = send(method, query, body, timeout)
        return status, answer.strip()

    return send_and_strip
