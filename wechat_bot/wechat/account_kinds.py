"""Kinds of Official Accounts, which decide the API permissions (``wechat-platform.md`` section 9.1)."""

from __future__ import annotations

from enum import StrEnum


class AccountKind(StrEnum):
    """The kind of an account; `UNKNOWN` when the settings do not name it."""

    UNKNOWN = "unknown"
    UNVERIFIED_SUBSCRIPTION = "unverified_subscription"
    VERIFIED_SUBSCRIPTION = "verified_subscription"
    UNVERIFIED_SERVICE = "unverified_service"
    VERIFIED_SERVICE = "verified_service"
    TEST = "test"
