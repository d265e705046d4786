"""API calls for statistics (``wechat-platform.md`` section 7.18).

Example: ``client.datacube.get(USER_SUMMARY, begin, end)``.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any, Generic, TypeVar

from ._http import Http
from .values import Records

T = TypeVar("T")


@dataclass(frozen=True)
class UserSummary:
    """The numbers of new and lost followers of a day.

    `user_source` is how they found the account: 0 others, 1 search, 17 shared card, 30 QR code, 57 its name
    in an article, 100 advertisement, 149, 161 reprint, 200, 201.
    """

    ref_date: str
    user_source: int = 0
    new_user: int = 0
    cancel_user: int = 0


@dataclass(frozen=True)
class UserCumulate:
    """The number of followers at the end of a day."""

    ref_date: str
    cumulate_user: int = 0


@dataclass(frozen=True)
class UpstreamMessages:
    """The numbers of messages received, and of their senders.

    `msg_type` is 1 text, 2 image, 3 voice, 4 video, 6 third-party app. In hourly reports, `ref_hour` is
    0 to 2300.
    """

    ref_date: str
    ref_hour: int = 0
    msg_type: int = 0
    msg_user: int = 0
    msg_count: int = 0


@dataclass(frozen=True)
class UpstreamDistribution:
    """The number of users by messages sent; `count_interval` is 0 (none), 1 (1-5), 2 (6-10) or 3 (more)."""

    ref_date: str
    count_interval: int = 0
    msg_user: int = 0


@dataclass(frozen=True)
class InterfaceSummary:
    """The platform's statistics of the callback; time costs are in milliseconds."""

    ref_date: str
    ref_hour: int = 0
    callback_count: int = 0
    fail_count: int = 0
    total_time_cost: int = 0
    max_time_cost: int = 0


@dataclass(frozen=True)
class Report(Generic[T]):
    """A report: its name, the type of its rows, and the maximum number of days per call."""

    name: str
    row: type[T]
    days: int


Row = dict[str, Any]
"""A row of a report that has no stable set of fields."""

USER_SUMMARY = Report("getusersummary", UserSummary, 7)
USER_CUMULATE = Report("getusercumulate", UserCumulate, 7)
UPSTREAM = Report("getupstreammsg", UpstreamMessages, 7)
UPSTREAM_HOUR = Report("getupstreammsghour", UpstreamMessages, 1)
UPSTREAM_WEEK = Report("getupstreammsgweek", UpstreamMessages, 1)
UPSTREAM_MONTH = Report("getupstreammsgmonth", UpstreamMessages, 1)
UPSTREAM_DISTRIBUTION = Report("getupstreammsgdist", UpstreamDistribution, 15)
UPSTREAM_DISTRIBUTION_WEEK = Report("getupstreammsgdistweek", UpstreamDistribution, 15)
UPSTREAM_DISTRIBUTION_MONTH = Report("getupstreammsgdistmonth", UpstreamDistribution, 15)
INTERFACE = Report("getinterfacesummary", InterfaceSummary, 30)
INTERFACE_HOUR = Report("getinterfacesummaryhour", InterfaceSummary, 1)
ARTICLE_SUMMARY = Report("getarticlesummary", Row, 1)
ARTICLE_TOTAL = Report("getarticletotal", Row, 1)
USER_READ = Report("getuserread", Row, 3)
USER_READ_HOUR = Report("getuserreadhour", Row, 1)
USER_SHARE = Report("getusershare", Row, 7)
USER_SHARE_HOUR = Report("getusersharehour", Row, 1)
ARTICLE_READ = Report("getarticleread", Row, 1)
ARTICLE_SHARE = Report("getarticleshare", Row, 1)
ARTICLE_TOTAL_DETAIL = Report("getarticletotaldetail", Row, 1)
BUSINESS_SUMMARY = Report("getbizsummary", Row, 30)


class DataCube:
    def __init__(self, http: Http) -> None:
        self._http = http

    def get(self, report: Report[T], begin: date, end: date) -> Records[T]:
        """Return the rows from `begin` to `end` inclusive, as dates in Beijing (section 7.18).

        A day is available after 08:00 of the next day.
        """
        body = {"begin_date": begin.isoformat(), "end_date": end.isoformat()}
        answer = self._http.post(f"/datacube/{report.name}", body, idempotent=True)
        return Records.of(report.row, answer.get("list"), "list")
