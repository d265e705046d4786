"""The simulator's web pages: a phone in the browser, and the platform between it and the bot.

The simulated platform (`wechat_bot.simulator`) pushes to the bot over HTTP only.
"""

from flask import Blueprint

bp = Blueprint(
    "simulator", __name__, url_prefix="/simulator", template_folder="templates", static_folder="static"
)

# These modules register their views on `bp`.
from . import access, actions, api, display, flood, page  # noqa: E402, F401
