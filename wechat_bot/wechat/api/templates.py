"""API calls for template messages (``wechat-platform.md`` section 7.12)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from ._http import Http
from .values import Answer, Records, convert, convert_field, given

SENT_ALREADY = 40241
"""Errcode for a message that equals one sent within the last 60 seconds."""


@dataclass(frozen=True)
class MiniProgram:
    """The mini program that a message opens; it must be linked to the account."""

    appid: str
    pagepath: str = ""


@dataclass(frozen=True)
class Industry:
    first_class: str = ""
    second_class: str = ""


@dataclass(frozen=True)
class Industries:
    primary_industry: Industry = Industry()
    secondary_industry: Industry = Industry()


@dataclass(frozen=True)
class Template:
    template_id: str
    title: str = ""
    primary_industry: str = ""
    deputy_industry: str = ""
    content: str = ""
    example: str = ""


def values(data: Mapping[str, str]) -> dict[str, Any]:
    """Return the keywords of a template in the platform's format."""
    return {keyword: {"value": value} for keyword, value in data.items()}


class Templates:
    def __init__(self, http: Http) -> None:
        self._http = http

    def send(
        self,
        openid: str,
        template_id: str,
        data: Mapping[str, str],
        *,
        url: str = "",
        miniprogram: MiniProgram | None = None,
        client_msg_id: str = "",
    ) -> int:
        """Send a service notice and return its msgid (section 7.12, message/template/send).

        The msgid is 0 if the same message was sent within the last 60 seconds. The platform sends only one
        message with the same `client_msg_id` within 10 minutes.
        """
        body = {
            "touser": openid,
            "template_id": template_id,
            **given(url=url, miniprogram=miniprogram and asdict(miniprogram), client_msg_id=client_msg_id),
            "data": values(data),
        }
        answer = self._http.post("/cgi-bin/message/template/send", body, accept=(SENT_ALREADY,))
        return convert(int, answer.get("msgid", 0), "msgid")

    def set_industry(self, industry_id1: str, industry_id2: str) -> None:
        """Set the account's industries; possible once a month (section 7.12, template/api_set_industry)."""
        body = {"industry_id1": industry_id1, "industry_id2": industry_id2}
        self._http.post("/cgi-bin/template/api_set_industry", body)

    def industry(self) -> Industries:
        """Return the account's industries (section 7.12, template/get_industry)."""
        return convert(Industries, self._http.get("/cgi-bin/template/get_industry"))

    def add(self, template_id_short: str, keywords: Sequence[str] = ()) -> str:
        """Add one of at most 25 templates from the library and return its template_id (section 7.12,
        template/api_add_template)."""
        body = {"template_id_short": template_id_short, **given(keyword_name_list=list(keywords))}
        return convert_field(str, self._http.post("/cgi-bin/template/api_add_template", body), "template_id")

    def list(self) -> Records[Template]:
        """Return the account's templates (section 7.12, template/get_all_private_template)."""
        answer = self._http.get("/cgi-bin/template/get_all_private_template")
        return convert_field(Records[Template], answer, "template_list")

    def delete(self, template_id: str) -> None:
        """Delete a template of the account (section 7.12, template/del_private_template)."""
        self._http.post("/cgi-bin/template/del_private_template", {"template_id": template_id})

    def blocked(self, tmpl_msg_id: str, largest_id: int = 0, limit: int = 20) -> Answer:
        """Return the response about blocked messages, whose fields are unconfirmed (section 7.12,
        wxa/sec/queryblocktmplmsg)."""
        body = {"tmpl_msg_id": tmpl_msg_id, "largest_id": largest_id, "limit": limit}
        return self._http.post("/wxa/sec/queryblocktmplmsg", body, idempotent=True)
