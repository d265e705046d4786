"""The console: operators read, find and answer what followers wrote."""

from flask import Blueprint

bp = Blueprint("admin", __name__, url_prefix="/admin", template_folder="templates", static_folder="static")

# They add their views to `bp`.
from . import access, audit, health, layout, media, messages, operators, profile, sign_in  # noqa: E402, F401
from .conversations import answers, canned_replies, views  # noqa: E402, F401
from .followers import sync  # noqa: E402, F401
from .followers import views as followers  # noqa: E402, F401
