"""The console: operators read, find and answer what followers wrote."""

from flask import Blueprint

bp = Blueprint("admin", __name__, url_prefix="/admin", template_folder="templates", static_folder="static")

# They add their views to `bp`.
from . import (  # noqa: E402, F401
    access,
    answers,
    audit,
    auth,
    canned,
    conversations,
    display,
    followers,
    frame,
    health,
    media,
    messages,
    operators,
    profile,
    sync,
)
