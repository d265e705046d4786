"""The console: operators read, find and answer what followers wrote."""

from flask import Blueprint

bp = Blueprint("admin", __name__, url_prefix="/admin", template_folder="templates", static_folder="static")

# They add their views to `bp`.
from . import access, audit, auth, conversations, display, followers, frame, messages, operators, profile  # noqa: E402, F401
