"""API calls for one-time subscription messages and notices (``wechat-platform.md`` section 7.13)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from urllib.parse import urlencode

from ._http import Http
from .templates import MiniProgram, values
from .values import Page, Records, convert_field, given


@dataclass(frozen=True)
class NoticeTemplate:
    """A template of the account. `type` is 2 (one-time) or 3 (long-term)."""

    priTmplId: str  # noqa: N815
    title: str = ""
    content: str = ""
    example: str = ""
    type: int = 0


@dataclass(frozen=True)
class Category:
    id: int
    name: str = ""


@dataclass(frozen=True)
class Title:
    """A template of the platform's library."""

    tid: int
    title: str = ""
    type: int = 0
    categoryId: str = ""  # noqa: N815


@dataclass(frozen=True)
class Keyword:
    """A keyword of a template of the platform's library; `rule` is its type."""

    kid: int
    name: str = ""
    example: str = ""
    rule: str = ""


class Subscribe:
    def __init__(self, http: Http) -> None:
        self._http = http

    def confirm_url(self, template_id: str, scene: int, redirect_url: str, reserved: str = "") -> str:
        """Return the URL of the page that asks a user to allow one message (section 7.13, subscribemsg).

        The page redirects to `redirect_url` with openid, template_id, action, scene and reserved.
        """
        query = {
            "action": "get_confirm",
            "appid": self._http.credentials.app_id,
            "scene": scene,
            "template_id": template_id,
            "redirect_url": redirect_url,
            **given(reserved=reserved),
        }
        return f"https://mp.weixin.qq.com/mp/subscribemsg?{urlencode(query)}#wechat_redirect"

    def send_once(
        self,
        openid: str,
        template_id: str,
        scene: int,
        title: str,
        content: str,
        *,
        color: str = "",
        url: str = "",
        miniprogram: MiniProgram | None = None,
    ) -> None:
        """Send the one message that the user allowed (section 7.13, message/template/subscribe).

        `title` has up to 15 characters, `content` up to 200.
        """
        body = {
            "touser": openid,
            "template_id": template_id,
            **given(url=url, miniprogram=miniprogram and asdict(miniprogram)),
            "scene": str(scene),
            "title": title,
            "data": {"content": {"value": content, **given(color=color)}},
        }
        self._http.post("/cgi-bin/message/template/subscribe", body)

    def send(
        self,
        openid: str,
        template_id: str,
        data: Mapping[str, str],
        *,
        page: str = "",
        miniprogram: MiniProgram | None = None,
    ) -> None:
        """Send a notice to which the user subscribed (section 7.13, message/subscribe/bizsend)."""
        body = {
            "touser": openid,
            "template_id": template_id,
            **given(page=page, miniprogram=miniprogram and asdict(miniprogram)),
            "data": values(data),
        }
        self._http.post("/cgi-bin/message/subscribe/bizsend", body)

    def add_template(self, tid: str, kids: Sequence[int], scene_desc: str = "") -> str:
        """Add a template from the library, with 2 to 5 keywords, and return its priTmplId (section 7.13,
        newtmpl/addtemplate)."""
        body = {"tid": tid, "kidList": list(kids), **given(sceneDesc=scene_desc)}
        return convert_field(str, self._http.post("/wxaapi/newtmpl/addtemplate", body), "priTmplId")

    def templates(self) -> Records[NoticeTemplate]:
        """Return the account's templates (section 7.13, newtmpl/gettemplate)."""
        answer = self._http.get("/wxaapi/newtmpl/gettemplate")
        return convert_field(Records[NoticeTemplate], answer, "data")

    def delete_template(self, pri_tmpl_id: str) -> None:
        """Delete a template of the account (section 7.13, newtmpl/deltemplate)."""
        self._http.post("/wxaapi/newtmpl/deltemplate", {"priTmplId": pri_tmpl_id})

    def categories(self) -> Records[Category]:
        """Return the account's categories (section 7.13, newtmpl/getcategory)."""
        return convert_field(Records[Category], self._http.get("/wxaapi/newtmpl/getcategory"), "data")

    def titles(self, ids: Sequence[int], start: int = 0, limit: int = 30) -> Page[Title]:
        """Return the library's templates in the categories `ids` (section 7.13,
        newtmpl/getpubtemplatetitles)."""
        query: dict[str, str | int] = {"ids": ",".join(map(str, ids)), "start": start, "limit": limit}
        answer = self._http.get("/wxaapi/newtmpl/getpubtemplatetitles", query)
        return Page.of(Title, answer, "count", "data")

    def keywords(self, tid: str) -> Page[Keyword]:
        """Return the available keywords of a template (section 7.13, newtmpl/getpubtemplatekeywords)."""
        answer = self._http.get("/wxaapi/newtmpl/getpubtemplatekeywords", {"tid": tid})
        return Page.of(Keyword, answer, "count", "data")
