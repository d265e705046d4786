"""An echo bot with wechatpy in a Flask view, as in wechatpy's example. It records nothing."""

from __future__ import annotations

import os

from flask import Flask, abort, request
from wechatpy import create_reply, parse_message
from wechatpy.crypto import WeChatCrypto
from wechatpy.exceptions import InvalidAppIdException, InvalidSignatureException
from wechatpy.utils import check_signature

TOKEN = os.environ["WECHAT_TOKEN"]
AES_KEY = os.environ["WECHAT_ENCODING_AES_KEY"]
APP_ID = os.environ["WECHAT_APP_ID"]

app = Flask(__name__)


@app.route("/wechat", methods=["GET", "POST"])
def wechat() -> str:
    timestamp, nonce = request.args.get("timestamp", ""), request.args.get("nonce", "")
    try:
        check_signature(TOKEN, request.args.get("signature", ""), timestamp, nonce)
    except InvalidSignatureException:
        abort(403)
    if request.method == "GET":
        return request.args.get("echostr", "")
    if request.args.get("encrypt_type", "raw") == "raw":
        return echo(request.data)
    crypto = WeChatCrypto(TOKEN, AES_KEY, APP_ID)
    try:
        opened = crypto.decrypt_message(request.data, request.args.get("msg_signature", ""), timestamp, nonce)
    except (InvalidSignatureException, InvalidAppIdException):
        abort(403)
    return crypto.encrypt_message(echo(opened), nonce, timestamp)


def echo(body: bytes | str) -> str:
    message = parse_message(body)
    answer = message.content if message.type == "text" else "Sorry, can not handle this for now"
    return create_reply(answer, message).render()
