"""OAuth web authorisation, which identifies the visitors of a web page (``wechat-platform.md`` section 7.19).

Its access tokens belong to one user each and are unrelated to the account's access token.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import quote

from ..errors import InvalidToken, NotFollowing
from ._http import Http
from .values import convert


@dataclass(frozen=True)
class Authorization:
    """The tokens of one user: `access_token` is valid for `expires_in` seconds, `refresh_token` for 30 days.

    A snapshot user (`is_snapshotuser`) is a virtual user of the platform's page preview.
    """

    openid: str
    access_token: str = field(repr=False)
    expires_in: int = 0
    refresh_token: str = field(default="", repr=False)
    scope: str = ""
    is_snapshotuser: bool = False
    unionid: str = ""


@dataclass(frozen=True)
class Profile:
    """A user's public profile. Sex and region have been empty since 2021."""

    openid: str
    nickname: str = ""
    sex: int = 0
    province: str = ""
    city: str = ""
    country: str = ""
    headimgurl: str = ""
    privilege: tuple[str, ...] = ()
    unionid: str = ""


class OAuth:
    def __init__(self, http: Http) -> None:
        self._http = http

    def authorize_url(self, redirect_uri: str, scope: str, state: str, *, force_popup: bool = False) -> str:
        """Return the URL to which the browser is redirected for authorisation (section 7.19, step 1).

        :param scope: snsapi_base or snsapi_userinfo.
        :param state: random letters and digits, bound to the browser's session against CSRF.
        """
        return (
            "https://open.weixin.qq.com/connect/oauth2/authorize"
            f"?appid={self._http.credentials.app_id}&redirect_uri={quote(redirect_uri, safe='')}"
            f"&response_type=code&scope={scope}&state={quote(state, safe='')}"
            f"{'&forcePopup=true' if force_popup else ''}#wechat_redirect"
        )

    def exchange(self, code: str) -> Authorization:
        """Exchange `code`, valid once within 5 minutes, for the user's tokens (section 7.19, step 3)."""
        credentials = self._http.credentials
        query = {
            "appid": credentials.app_id,
            "secret": credentials.app_secret,
            "code": code,
            "grant_type": "authorization_code",
        }
        return convert(Authorization, self._http.open("/sns/oauth2/access_token", query))

    def refresh(self, refresh_token: str) -> Authorization:
        """Return a new access token for the same user (section 7.19, step 4)."""
        query = {
            "appid": self._http.credentials.app_id,
            "grant_type": "refresh_token",
            "refresh_token": refresh_token,
        }
        return convert(Authorization, self._http.open("/sns/oauth2/refresh_token", query, idempotent=True))

    def user(self, access_token: str, openid: str, lang: str = "zh_CN") -> Profile:
        """Return the user's profile; this requires the scope snsapi_userinfo (section 7.19, step 5)."""
        query = {"access_token": access_token, "openid": openid, "lang": lang}
        return convert(Profile, self._http.open("/sns/userinfo", query, idempotent=True))

    def check(self, access_token: str, openid: str) -> bool:
        """Whether `access_token` is still valid for this user (section 7.19, check)."""
        query = {"access_token": access_token, "openid": openid}
        try:
            self._http.open("/sns/auth", query, idempotent=True)
        except (NotFollowing, InvalidToken):
            return False
        return True
