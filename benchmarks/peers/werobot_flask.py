"""An echo bot with WeRoBot in a Flask view; its sessions in SQLite are committed for each message."""

from __future__ import annotations

import os

from flask import Flask
from werobot import WeRoBot
from werobot.contrib.flask import make_view

robot = WeRoBot(token=os.environ["WECHAT_TOKEN"])
robot.config["APP_ID"] = os.environ["WECHAT_APP_ID"]
robot.config["ENCODING_AES_KEY"] = os.environ["WECHAT_ENCODING_AES_KEY"]


@robot.text
def echo(message):
    return message.content


app = Flask(__name__)
app.add_url_rule("/wechat", endpoint="werobot", view_func=make_view(robot), methods=["GET", "POST"])
