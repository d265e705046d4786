"""Statistics (section 7.18), with the same numbers for every day."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

from .call import Answer, Area, CallRefused, Family, Handler, SimulatedCall, refuse_if

family = Family(Area.STATISTICS)

_MESSAGES = {"msg_type": 1, "msg_user": 3, "msg_count": 7}
_DISTRIBUTION = {"count_interval": 1, "msg_user": 3}
_INTERFACE = {"callback_count": 20, "fail_count": 1, "total_time_cost": 900, "max_time_cost": 120}
_ARTICLE = {"msgid": "10001_1", "title": "示例", "int_page_read_user": 5, "int_page_read_count": 8}
_READ = {"int_page_read_user": 5, "int_page_read_count": 8, "share_user": 1, "share_count": 1}
_SHARE = {"share_scene": 1, "share_user": 1, "share_count": 1}
_HOUR = {"ref_hour": 900}

_KINDS: dict[str, tuple[int, dict[str, Any]]] = {
    "getusersummary": (7, {"user_source": 0, "new_user": 4, "cancel_user": 1}),
    "getusercumulate": (7, {"cumulate_user": 120}),
    "getupstreammsg": (7, _MESSAGES),
    "getupstreammsghour": (1, _MESSAGES | _HOUR),
    "getupstreammsgweek": (1, _MESSAGES),
    "getupstreammsgmonth": (1, _MESSAGES),
    "getupstreammsgdist": (15, _DISTRIBUTION),
    "getupstreammsgdistweek": (15, _DISTRIBUTION),
    "getupstreammsgdistmonth": (15, _DISTRIBUTION),
    "getinterfacesummary": (30, _INTERFACE),
    "getinterfacesummaryhour": (1, _INTERFACE | _HOUR),
    "getarticlesummary": (1, _ARTICLE),
    "getarticletotal": (1, _ARTICLE),
    "getuserread": (3, _READ),
    "getuserreadhour": (1, _READ | _HOUR),
    "getusershare": (7, _SHARE),
    "getusersharehour": (1, _SHARE | _HOUR),
    "getarticleread": (1, _ARTICLE),
    "getarticleshare": (1, _ARTICLE),
    "getarticletotaldetail": (1, _ARTICLE),
    "getbizsummary": (30, _READ),
}
"""The maximum number of days of a report, by the latest documentation, and the fields of each day."""

_BEGIN = date(2014, 12, 1)


def _report(days: int, fields: dict[str, Any]) -> Handler:
    def handler(call: SimulatedCall) -> Answer:
        begin, end = _date(call.body["begin_date"]), _date(call.body["end_date"])
        refuse_if(not _BEGIN <= begin <= end or (end - begin).days >= days, 61501)
        if end > (call.today - timedelta(days=1, hours=8)).date():
            raise CallRefused(61503)  # statistics of a day are complete at 8:00 of the next day
        dates = [begin + timedelta(days=number) for number in range((end - begin).days + 1)]
        return {"list": [{"ref_date": day.isoformat(), **fields} for day in dates]}

    return handler


def _date(text: str) -> date:
    try:
        day = date.fromisoformat(text)
    except ValueError:
        raise CallRefused(61500) from None
    refuse_if(day.isoformat() != text, 61500)
    return day


for _name, (_max_days, _fields) in _KINDS.items():
    family.post(f"/datacube/{_name}", {"begin_date": str, "end_date": str})(_report(_max_days, _fields))
