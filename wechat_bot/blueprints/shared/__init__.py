"""Template filters and labels of the console and the simulator."""

from flask import Blueprint

bp = Blueprint("shared", __name__)

from . import display, problems  # noqa: E402, F401  # add their template filters to `bp`
