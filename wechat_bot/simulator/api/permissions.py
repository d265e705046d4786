"""Permissions of the kinds of accounts (section 9.2), and quotas (section 6.7)."""

from __future__ import annotations

from ...wechat.account_kinds import AccountKind
from ..state import PlatformState
from .call import Area, refuse_if

_VS = {AccountKind.VERIFIED_SERVICE}
_V = _VS | {AccountKind.VERIFIED_SUBSCRIPTION}
_T = {AccountKind.TEST}

ALLOWED_KINDS: dict[Area, set[AccountKind]] = {
    Area.ANY: set(AccountKind),
    Area.MENUS: _V | _T,
    Area.CONDITIONAL_MENUS: _V | _T,
    Area.CUSTOMER: _V | _T,
    Area.AGENTS: _V,
    Area.USERS: _V | _T,
    Area.TEMPORARY_MEDIA: _V | _T,
    Area.PUBLISHING: _V,
    Area.MASS_TO_ALL: _V | _T,
    Area.MASS_TO_LIST: _VS | _T,
    Area.TEMPLATES: _VS | _T,
    Area.ONE_TIME: _V,
    Area.NOTICES: _VS,
    Area.QRCODES: _VS | _T,
    Area.SHORT_KEYS: _V | _T,
    Area.OAUTH: _VS | _T,
    Area.COMMENTS: _V,
    Area.STATISTICS: _V,
}
"""The kinds of accounts that may call the endpoints of an area, by the strictest of the sources.

All kinds may use permanent material and drafts.
"""

DAILY_LIMITS: dict[str, tuple[int, int]] = {
    "/cgi-bin/token": (2000, 200),
    "/cgi-bin/stable_token": (500_000, 500_000),
    "/cgi-bin/menu/create": (1000, 100),
    "/cgi-bin/menu/get": (10_000, 1000),
    "/cgi-bin/menu/delete": (1000, 100),
    "/cgi-bin/menu/addconditional": (2000, 2000),
    "/cgi-bin/menu/delconditional": (2000, 2000),
    "/cgi-bin/menu/trymatch": (20_000, 20_000),
    "/cgi-bin/media/upload": (100_000, 500),
    "/cgi-bin/media/get": (200_000, 1000),
    "/cgi-bin/message/custom/send": (500_000, 50_000),
    "/cgi-bin/message/mass/sendall": (100, 10),
    "/cgi-bin/message/mass/send": (100, 10),
    "/cgi-bin/message/mass/preview": (100, 100),
    "/cgi-bin/message/mass/delete": (10, 10),
    "/cgi-bin/message/template/send": (100_000, 100_000),
    "/cgi-bin/qrcode/create": (100_000, 10_000),
    "/cgi-bin/user/get": (500, 100),
    "/cgi-bin/user/info": (5_000_000, 500_000),
    "/cgi-bin/user/info/updateremark": (10_000, 10_000),
    "/cgi-bin/draft/add": (1000, 1000),
    "/cgi-bin/draft/get": (500, 500),
    "/cgi-bin/draft/delete": (1000, 1000),
    "/cgi-bin/draft/update": (1000, 1000),
    "/cgi-bin/draft/count": (1000, 1000),
    "/cgi-bin/draft/batchget": (1000, 1000),
    "/cgi-bin/freepublish/submit": (100, 100),
    "/cgi-bin/freepublish/get": (100, 100),
    "/cgi-bin/freepublish/delete": (10, 10),
    "/cgi-bin/freepublish/getarticle": (100, 100),
    "/cgi-bin/freepublish/batchget": (100, 100),
}
"""Calls per day of normal accounts and of test accounts, by path. Other paths have the limit `_UNLISTED`."""

MINUTE_LIMITS = {
    "/cgi-bin/stable_token": 10_000,
    "/cgi-bin/message/mass/sendall": 60,
    "/cgi-bin/message/mass/send": 60,
}
"""Calls per minute, by path."""

_UNLISTED = 1_000_000


def daily_limit(path: str, kind: AccountKind) -> int:
    return DAILY_LIMITS.get(path, (_UNLISTED, _UNLISTED))[kind is AccountKind.TEST]


def consume_quota(
    state: PlatformState, path: str, now: float, limit: int, seconds: int, errcode: int
) -> None:
    """Count a call in the current period of `seconds`, by Beijing time.

    :raises CallRefused: with `errcode`, beyond `limit`.
    """
    key = f"{path} {seconds} {int(now + 8 * 3600) // seconds}"
    refuse_if(state.used.get(key, 0) >= limit, errcode)
    state.used = {name: count for name, count in state.used.items() if _is_current(name, now)}
    state.used[key] = state.used.get(key, 0) + 1


def calls_today(state: PlatformState, path: str, now: float) -> int:
    """Return the number of calls of a path today."""
    return state.used.get(f"{path} 86400 {int(now + 8 * 3600) // 86400}", 0)


def clear_usage(state: PlatformState, path: str = "") -> None:
    """Reset the number of today's calls of a path, or of all paths if it is empty."""
    state.used = {
        name: count
        for name, count in state.used.items()
        if " 86400 " not in name or (path and not name.startswith(f"{path} "))
    }


def _is_current(key: str, now: float) -> bool:
    _, seconds, number = key.rsplit(" ", 2)
    return int(now + 8 * 3600) // int(seconds) == int(number)
