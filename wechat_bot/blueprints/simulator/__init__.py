"""The simulator: a phone in the browser, and the platform between it and the bot.

It plays the platform over HTTP (`wechat_bot.testing`), and never calls into the application.
"""

from flask import Blueprint

bp = Blueprint(
    "simulator", __name__, url_prefix="/simulator", template_folder="templates", static_folder="static"
)

# They add their views to `bp`.
from . import access, actions, api, display, page  # noqa: E402, F401
