"""Openids of simulated followers. The platform gives no openid with their prefix."""

from __future__ import annotations

import secrets

PREFIX = "o-simulated-"


def new_openid() -> str:
    """Return a random openid of the usual length."""
    return PREFIX + secrets.token_urlsafe(12)


def is_simulated(openid: str) -> bool:
    """Whether `new_openid` made it up."""
    return openid.startswith(PREFIX)
