"""The platform's list of followers and ours become one; what operators change is told to the platform."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest
from flask import Flask
from sqlalchemy import Engine, func, select, update

from tests.conftest import APP_ID, APP_SECRET, MakeApp
from wechat_bot.extensions import db
from wechat_bot.models import (
    BotSession,
    Follower,
    FollowerSync,
    FollowerTag,
    PendingUpdate,
    SyncState,
    Tag,
    Worker,
)
from wechat_bot.services.accounts import ensure_account
from wechat_bot.services.accounts.capabilities import Capabilities, Feature
from wechat_bot.services.audit import Actor
from wechat_bot.services.followers import profiles
from wechat_bot.services.followers.sync import LIST_PATH, FollowerSynchronizer
from wechat_bot.services.followers.write_back import MAX_ATTEMPTS, WriteBack, fitting, try_again
from wechat_bot.services.health.heartbeats import heartbeat
from wechat_bot.services.search.index import FOLLOWERS
from wechat_bot.services.search.tokens import Query
from wechat_bot.simulator.state import SimulatedFollower as Played
from wechat_bot.simulator.state import SimulatedTag as PlayedTag
from wechat_bot.testing import APIFault, APIFaultKind, FakeAPI, FakePlatform, SimulatedAccount
from wechat_bot.wechat.account_kinds import AccountKind
from wechat_bot.wechat.api import WeChatClient
from wechat_bot.wiring import services
from wechat_bot.worker import synchronize_followers

ACTOR = Actor(None, "li", "127.0.0.1")
INFO = "/cgi-bin/user/info/batchget"
TAGGING = "/cgi-bin/tags/members/batchtagging"
LONG_AGO = 1_700_000_000
FOUR = datetime(2026, 11, 24, 20, 0, 30, tzinfo=UTC)
"""Four o'clock in Beijing."""


class Office:
    """An account at the platform, and the program that knows some of its followers."""

    def __init__(self, app: Flask, api: FakeAPI) -> None:
        self.app, self.api = app, api
        self.platform = FakePlatform.of(app)
        with app.app_context():
            self.engine: Engine = db.engine
        self.account_id = ensure_account(self.engine, APP_ID)
        self.followers: FollowerSynchronizer = services(app).followers
        self.writebacks: WriteBack = services(app).write_back
        self.capabilities: Capabilities = services(app).capabilities
        self.ours = self.engine, self.capabilities, ACTOR, self.account_id

    def follow(self, *openids: str, **fields: Any) -> None:
        """At the platform, without a push."""
        with self.api.store.opened() as state:
            for openid in openids:
                state.followers[openid] = Played(openid, subscribe_time=LONG_AGO, **fields)

    def leave(self, openid: str) -> None:
        self.api.follower_acted(openid, "unfollow")

    def played(self, openid: str) -> Played:
        with self.api.store.opened() as state:
            return state.followers[openid]

    def add_tag(self, number: int, name: str) -> None:
        with self.api.store.opened() as state:
            state.tags.append(PlayedTag(number, name))

    def platform_tags(self) -> dict[str, int]:
        with self.api.store.opened() as state:
            return {tag.name: tag.id for tag in state.tags}

    def sync(self) -> Any:
        """A run from its beginning to its end; how it stands then."""
        sync_id = self.followers.begin(self.account_id, ACTOR)
        self.followers.run(sync_id)
        return self.run_of(sync_id)

    def run_of(self, sync_id: int) -> Any:
        with self.engine.connect() as connection:
            return connection.execute(select(FollowerSync.__table__).where(FollowerSync.id == sync_id)).one()

    def follower(self, openid: str) -> Any:
        with self.engine.connect() as connection:
            return connection.execute(select(Follower.__table__).where(Follower.openid == openid)).one()

    def value(self, query: Any) -> Any:
        with self.engine.connect() as connection:
            return connection.execute(query).scalar()

    def tags_of(self, openid: str) -> set[str]:
        found = (
            select(Tag.name)
            .join(FollowerTag, FollowerTag.tag_id == Tag.id)
            .join(Follower, Follower.id == FollowerTag.follower_id)
            .where(Follower.openid == openid)
        )
        with self.engine.connect() as connection:
            return set(connection.scalars(found))

    def found(self, words: str) -> Collection[int]:
        with self.engine.connect() as connection:
            return connection.scalars(
                FOLLOWERS.matching_ids(Query.parse(words), self.engine.dialect.name)
            ).all()

    def waiting(self) -> list[tuple[str, int]]:
        """What waits to be told, and how often it was refused."""
        with self.engine.connect() as connection:
            rows = connection.execute(
                select(PendingUpdate.kind, PendingUpdate.attempts).order_by(PendingUpdate.id)
            )
            return [(row.kind, row.attempts) for row in rows]

    def set(self, openid: str, **columns: Any) -> None:
        with self.engine.begin() as connection:
            connection.execute(update(Follower).where(Follower.openid == openid).values(columns))

    def rename(self, openid: str, alias: str) -> None:
        profiles.rename(*self.ours, self.follower(openid).id, alias)

    def tag(self, name: str, *openids: str) -> None:
        ids = [self.follower(openid).id for openid in openids]
        profiles.tag(*self.ours, ids, name)

    def untag(self, name: str, openid: str) -> None:
        tag_id = self.value(select(Tag.id).where(Tag.name == name))
        profiles.untag(*self.ours, [self.follower(openid).id], tag_id)

    def pass_midnight(self) -> None:
        """Let calls be made again that the quota had ended."""
        client: Any = self.followers.client
        client.system.resume()
        self.api.errcodes.clear()

    def tell(self) -> None:
        self.writebacks.send(self.account_id)


@pytest.fixture
def office(make_app: MakeApp, api: FakeAPI) -> Office:
    return Office(make_app(api=api, wechat_app_secret=APP_SECRET), api)


@pytest.fixture
def any_office(make_app: MakeApp, api: FakeAPI, any_database: str) -> Iterator[Office]:
    app = make_app(api=api, wechat_app_secret=APP_SECRET, database_url=any_database)
    yield Office(app, api)
    services(app).call_stats.flush()  # while there is a database


def paged(office: Office, size: int) -> None:
    with office.api.store.opened() as state:
        state.account.users_per_page = size


def test_followers_of_the_platform_are_known_after_a_run_with_remark_and_tags(any_office: Office) -> None:
    office = any_office
    office.add_tag(100, "VIP")
    office.follow(*(f"o{n:03}" for n in range(230)))
    office.follow("oWang", remark="王姐", tags=[100, 2], qr_scene_str="counter-7")
    paged(office, 120)
    run = office.sync()
    assert (run.state, run.total, run.done, run.error) == (SyncState.DONE, 231, 231, "")
    assert office.value(select(func.count()).select_from(Follower)) == 231
    assert office.value(select(func.count()).select_from(BotSession)) == 231
    wang = office.follower("oWang")
    assert (wang.alias, wang.remark, wang.scene, wang.source) == (
        "王姐",
        "王姐",
        "counter-7",
        "ADD_SCENE_SEARCH",
    )
    assert wang.subscribed_at == wang.status_at == datetime.fromtimestamp(LONG_AGO, UTC)
    assert office.tags_of("oWang") == {"VIP"}
    assert office.found("王姐") == [wang.id] == office.found("VIP")
    assert office.platform.follower("oWang").text("帮助")  # whom the run made known


def test_a_second_run_changes_what_changed_and_nothing_else(any_office: Office) -> None:
    office = any_office
    office.add_tag(100, "VIP")
    office.follow("oLi", "oWang", remark="老", tags=[100])
    office.sync()
    office.follow("oLi", remark="新")
    before = office.follower("oWang")
    office.sync()
    li, wang = office.follower("oLi"), office.follower("oWang")
    assert (li.remark, li.alias, office.tags_of("oLi")) == ("新", "老", set())
    assert {**wang._mapping, "synced_at": None} == {**before._mapping, "synced_at": None}
    assert office.tags_of("oWang") == {"VIP"}


def test_whoever_is_missing_in_the_complete_list_follows_no_more(any_office: Office) -> None:
    office = any_office
    office.follow("oLi", "oWang")
    office.sync()
    office.leave("oWang")
    hour = timedelta(hours=1)
    office.set("oWang", last_seen_at=datetime.now(UTC) - hour, synced_at=datetime.now(UTC) - hour)
    office.sync()
    assert (office.follower("oLi").subscribed, office.follower("oWang").subscribed) == (True, False)
    office.follow("oWang")
    office.set("oWang", status_at=datetime.now(UTC) - hour)
    office.sync()
    assert office.follower("oWang").subscribed


def test_what_pushes_told_since_the_run_began_wins(any_office: Office) -> None:
    office = any_office
    office.follow("oLi", "oWang")
    office.sync()
    hour = timedelta(hours=1)
    for openid in ("oLi", "oWang", "oNew"):
        if openid == "oNew":
            office.platform.openid = openid
            office.platform.push(office.platform.event("subscribe", EventKey=""))
        office.set(openid, synced_at=None, last_seen_at=datetime.now(UTC) - hour)
    sync_id = office.followers.begin(office.account_id, ACTOR)
    office.leave("oNew")  # not in the list; the platform is behind
    soon = datetime.now(UTC) + timedelta(seconds=5)
    office.set("oLi", subscribed=False, status_at=soon)
    office.set("oNew", subscribed=True, status_at=soon)
    office.followers.run(sync_id)
    assert not office.follower("oLi").subscribed
    assert office.follower("oNew").subscribed
    assert office.follower("oWang").subscribed


def test_whoever_writes_while_the_list_is_read_is_known_once(any_office: Office) -> None:
    office = any_office
    office.platform.openid = "oLi"
    office.platform.text("帮助")
    office.follow("oLi", remark="小李")
    office.sync()
    assert office.value(select(func.count()).select_from(Follower)) == 1
    assert office.follower("oLi").alias == "小李"
    assert office.platform.text("帮助")


def test_a_run_goes_on_where_it_failed_and_asks_for_no_page_again(any_office: Office) -> None:
    office = any_office
    office.follow(*(f"o{n:03}" for n in range(250)))
    paged(office, 100)
    sync_id = office.followers.begin(office.account_id, ACTOR)
    office.followers.run(sync_id, lambda done, total: office.api.errcodes.update({INFO: [45009]}))
    run = office.run_of(sync_id)
    assert (run.state, run.done, run.cursor) == (SyncState.FAILED, 100, "o099")
    assert "45009" in run.error
    assert office.value(select(func.count()).select_from(Follower)) == 100
    office.pass_midnight()
    assert office.followers.resume(office.account_id) == sync_id
    office.followers.run(sync_id)
    assert office.run_of(sync_id).state == SyncState.DONE
    assert office.api.calls.count(LIST_PATH) == 2 + 3  # the last is the empty page
    assert office.value(select(func.count()).select_from(Follower)) == 250


ODD: dict[str, tuple[str, Any]] = {
    "o031": ("subscribe_time", "yesterday"),
    "o041": ("subscribe_scene", ["ADD_SCENE_OTHERS"]),
    "o141": ("remark", {}),
    "o142": ("tags", ["VIP"]),
    "o241": ("qr_scene", "counter-7"),
}
"""By openid, a field and its value, which makes no sense."""


def test_one_odd_record_in_a_hundred_spoils_nothing_but_itself(any_office: Office) -> None:
    office = any_office
    office.add_tag(134, "VIP")
    office.follow(*(f"o{n:03}" for n in range(250)), remark="老", tags=[134])
    office.sync()
    with office.api.store.opened() as state:
        for openid, (field, value) in ODD.items():
            setattr(state.followers[openid], field, value)
    office.follow("o123", remark="新")
    office.follow("oNew", subscribe_scene={})
    before = office.follower("o041")
    run = office.sync()
    assert (run.state, run.done, run.total) == (SyncState.DONE, 251, 251)
    assert run.error == "o031, o041, o141, o142, o241, oNew"
    assert office.follower("o123").remark == "新"
    assert {**office.follower("o041")._mapping, "synced_at": None} == {**before._mapping, "synced_at": None}
    assert office.tags_of("o041") == {"VIP"}
    assert office.follower("oNew").subscribed
    assert office.follower("oNew").first_seen_at >= run.started_at


def test_whoever_has_an_odd_record_does_not_count_as_gone(office: Office) -> None:
    office.follow("oLi", subscribe_scene={})
    office.sync()
    hour = timedelta(hours=1)
    office.set("oLi", last_seen_at=datetime.now(UTC) - hour, synced_at=datetime.now(UTC) - hour)
    office.sync()
    assert office.follower("oLi").subscribed


def test_the_names_of_many_odd_records_are_cut(office: Office) -> None:
    office.follow(*(f"o{n:027}" for n in range(250)), subscribe_scene={})
    run = office.sync()
    assert (run.state, run.done) == (SyncState.DONE, 250)
    assert run.error.startswith(f"o{0:027}, o{1:027}, ")
    assert run.error.endswith(", …")
    assert len(run.error) <= 255


@pytest.mark.parametrize("seconds", [10**18, -1, 1 << 40])
def test_a_time_that_makes_no_sense_is_none(any_office: Office, seconds: int) -> None:
    any_office.follow("oLi")
    with any_office.api.store.opened() as state:
        state.followers["oLi"].subscribe_time = seconds
    assert any_office.sync().state == SyncState.DONE
    assert any_office.follower("oLi").subscribed_at is None


def test_texts_and_numbers_that_the_database_does_not_take_stop_nothing(any_office: Office) -> None:
    office = any_office
    office.add_tag(1 << 40, "大")
    office.follow("oLi", remark="\0老\x08李", subscribe_scene="\0" + "A" * 99, tags=[1 << 40])
    office.follow("o" * 65, "o\0")
    run = office.sync()
    assert (run.state, run.done, run.error) == (SyncState.DONE, 1, f"{'o' * 65}, o")
    assert (office.follower("oLi").remark, office.follower("oLi").source) == ("老\x08李", "A" * 48)


def test_a_page_of_openids_that_are_none_is_reported_and_ends_nothing(office: Office) -> None:
    office.follow("o 1", "o" * 65)
    run = office.sync()
    assert (run.state, run.done, run.error) == (SyncState.DONE, 0, f"o 1, {'o' * 65}")


def test_the_list_goes_on_after_a_page_of_which_no_openid_can_be_read(office: Office) -> None:
    office.follow(*(f"o{n:02}" for n in range(30)))
    paged(office, 10)

    def garble(request: httpx2.Request) -> httpx2.Response:
        response = office.api.transport.handle_request(request)
        if request.url.path != LIST_PATH:
            return response
        return httpx2.Response(200, content=re.sub(rb'([\[,] ?)"o1\d"', rb"\1{}", response.read()))

    credentials = services(office.app).account.credentials
    client = WeChatClient(credentials, "https://api.weixin.qq.com", httpx2.MockTransport(garble))
    office.followers = replace(office.followers, client=client)
    run = office.sync()
    assert (run.state, run.done, run.cursor) == (SyncState.DONE, 20, "o29")
    assert office.value(select(func.count()).select_from(Follower)) == 20
    assert "openid" in run.error


def test_a_tag_that_makes_no_sense_makes_no_other_tag_unknown(office: Office) -> None:
    office.add_tag(134, "VIP")
    office.add_tag(135, "老客户")
    office.follow("oLi", tags=[134, 135])
    office.sync()
    with office.api.store.opened() as state:
        next(tag for tag in state.tags if tag.id == 135).name = None  # type: ignore[assignment]
    run = office.sync()
    assert (run.state, run.error) == (SyncState.DONE, "135")
    assert office.tags_of("oLi") == {"VIP", "老客户"}
    assert office.value(select(Tag.platform_id).where(Tag.name == "老客户")) == 135


def test_one_page_is_asked_for_once(office: Office) -> None:
    office.follow("oLi", "oWang")
    office.sync()
    assert office.api.calls.count(LIST_PATH) == 1


def test_an_interrupted_run_is_gone_on_with_by_itself(office: Office) -> None:
    office.follow(*(f"o{n:03}" for n in range(150)))

    class Killed(BaseException):
        pass

    def kill(done: int, total: int) -> None:
        raise Killed

    sync_id = office.followers.begin(office.account_id, ACTOR)
    with pytest.raises(Killed):
        office.followers.run(sync_id, kill)
    assert (office.run_of(sync_id).state, office.run_of(sync_id).done) == (SyncState.RUNNING, 100)
    now = datetime.now(UTC)
    office.followers.start_due(office.account_id, now)  # somebody may still be about it
    office.followers.start_due(office.account_id, now + timedelta(hours=1))
    assert services(office.app).jobs.run_all() == 1
    assert (office.run_of(sync_id).state, office.run_of(sync_id).done) == (SyncState.DONE, 150)


def test_of_two_workers_that_are_about_one_run_one_gives_way(office: Office) -> None:
    office.follow(*(f"o{n:03}" for n in range(250)))
    sync_id = office.followers.begin(office.account_id, ACTOR)

    def overtake(done: int, total: int) -> None:
        if done == 100:
            office.followers.run(sync_id)

    office.followers.run(sync_id, overtake)
    run = office.run_of(sync_id)
    assert (run.state, run.done) == (SyncState.DONE, 250)
    assert office.api.calls.count(INFO) == 3 + 1


def test_a_run_begins_anew_where_the_last_one_read_has_left(office: Office) -> None:
    office.follow(*(f"o{n:03}" for n in range(150)))
    paged(office, 100)
    sync_id = office.followers.begin(office.account_id, ACTOR)

    def leave(done: int, total: int) -> None:
        if done == 100:
            office.leave("o099")

    office.followers.run(sync_id, leave)
    run = office.run_of(sync_id)
    assert (run.state, run.done, run.total) == (SyncState.DONE, 149, 149)


def test_one_run_at_a_time(office: Office) -> None:
    first = office.followers.begin(office.account_id, ACTOR)
    assert office.followers.begin(office.account_id, ACTOR) == first
    office.followers.run(first)
    assert office.followers.begin(office.account_id, ACTOR) != first
    assert office.followers.resume(office.account_id) != first


def test_the_nightly_run_begins_at_four_in_beijing_once(office: Office) -> None:
    office.follow("oLi")
    jobs = services(office.app).jobs
    for minutes in (-60, -1, 60, 120):
        office.followers.start_due(office.account_id, FOUR + timedelta(minutes=minutes))
    assert jobs.run_all() == 0
    office.followers.start_due(office.account_id, FOUR)
    assert jobs.run_all() == 1
    assert office.follower("oLi").subscribed
    with office.engine.begin() as connection:
        connection.execute(update(FollowerSync).values(seen_at=FOUR))
    office.followers.start_due(office.account_id, FOUR + timedelta(minutes=2))
    assert jobs.run_all() == 0
    office.followers.start_due(office.account_id, FOUR + timedelta(days=1))
    assert jobs.run_all() == 1


def test_an_account_that_may_not_is_asked_once(make_app: MakeApp, api: FakeAPI) -> None:
    with api.store.opened() as state:
        state.account = SimulatedAccount(AccountKind.UNVERIFIED_SUBSCRIPTION)
    office = Office(make_app(api=api, wechat_app_secret=APP_SECRET), api)
    run = office.sync()
    assert run.state == SyncState.FAILED
    assert "48001" in run.error
    assert not office.capabilities.allows(office.account_id, Feature.FOLLOWERS)
    office.followers.start_due(office.account_id, FOUR)
    assert services(office.app).jobs.run_all() == 0


@pytest.mark.parametrize("kind", [APIFaultKind.STATUS_500, APIFaultKind.CUT, APIFaultKind.GARBAGE])
def test_a_run_fails_with_a_sentence_when_the_answer_is_lost(office: Office, kind: APIFaultKind) -> None:
    office.follow("oLi")
    office.api.fail(APIFault(kind, times=None), LIST_PATH)
    run = office.sync()
    assert run.state == SyncState.FAILED
    assert run.error


def test_tags_that_operators_changed_and_nobody_told_stay(any_office: Office) -> None:
    office = any_office
    office.add_tag(100, "VIP")
    office.add_tag(101, "老客")
    office.follow("oLi", tags=[100], remark="甲")
    office.sync()
    office.untag("VIP", "oLi")
    office.tag("老客", "oLi")
    office.rename("oLi", "李雷")
    office.sync()
    assert office.tags_of("oLi") == {"老客"}
    assert office.follower("oLi").alias == "李雷"
    office.tell()
    assert (office.played("oLi").tags, office.played("oLi").remark) == ([101], "李雷")
    assert office.waiting() == []
    office.sync()
    assert (office.tags_of("oLi"), office.follower("oLi").remark) == ({"老客"}, "李雷")


def test_a_tag_deleted_or_renamed_at_the_platform_stays_with_us(office: Office) -> None:
    office.add_tag(100, "VIP")
    office.follow("oLi", tags=[100])
    office.sync()
    with office.api.store.opened() as state:
        state.tags[-1].name = "贵宾"
    office.sync()
    assert office.tags_of("oLi") == {"VIP", "贵宾"}


def test_a_new_tag_is_made_at_the_platform_and_put_on_all_in_calls_of_fifty(any_office: Office) -> None:
    office = any_office
    openids = [f"o{n:03}" for n in range(120)]
    office.follow(*openids)
    office.sync()
    office.tag("会员", *openids)
    office.tell()
    number = office.platform_tags()["会员"]
    assert all(office.played(openid).tags == [number] for openid in openids)
    assert office.api.calls.count(TAGGING) == 3
    assert office.value(select(Tag.platform_id)) == number
    office.sync()
    assert office.tags_of("o000") == {"会员"}


def test_the_last_of_several_changes_is_told(office: Office) -> None:
    office.follow("oLi")
    office.sync()
    office.rename("oLi", "一")
    office.tag("VIP", "oLi")
    office.rename("oLi", "二")
    office.untag("VIP", "oLi")
    assert [what for what, _ in office.waiting()] == ["remark", "untag"]
    office.tell()
    assert office.played("oLi").remark == "二"
    assert "VIP" not in office.platform_tags()  # nothing is made to be taken off
    assert office.waiting() == []


@pytest.mark.parametrize(
    ("alias", "remark"),
    [("王" * 10, "王" * 9), ("a" * 30, "a" * 29), ("😀" * 8, "😀" * 7), ("短", "短"), ("", "")],
)
def test_a_remark_is_cut_between_characters(alias: str, remark: str) -> None:
    assert fitting(alias) == remark
    assert len(remark.encode()) < 30


def test_a_long_tag_is_cut_and_found_again(office: Office) -> None:
    office.follow("oLi")
    office.sync()
    office.tag("长" * 32, "oLi")
    office.tell()
    assert "长" * 30 in office.platform_tags()
    office.sync()
    assert office.tags_of("oLi") == {"长" * 32}


def test_a_change_of_somebody_unknown_to_the_platform_is_dropped_and_the_others_are_told(
    office: Office,
) -> None:
    office.follow("oLi", "oGone", "oWang")
    office.sync()
    office.tag("VIP", "oLi", "oGone", "oWang")
    office.rename("oGone", "走了")
    with office.api.store.opened() as state:
        del state.followers["oGone"]
    office.tell()
    assert office.waiting() == []
    assert len(office.played("oWang").tags) == 1


def test_a_refused_change_is_given_up_after_some_attempts_until_it_is_tried_again(office: Office) -> None:
    office.follow("oLi", tags=list(range(200, 220)))
    office.sync()
    office.tag("VIP", "oLi")
    for _ in range(MAX_ATTEMPTS + 2):
        office.tell()
    assert office.waiting() == [("tag", MAX_ATTEMPTS)]
    assert office.api.calls.count(TAGGING) == MAX_ATTEMPTS
    assert "45059" in office.value(select(PendingUpdate.error))
    office.follow("oLi")
    try_again(office.engine, office.follower("oLi").id)
    office.tell()
    assert office.waiting() == []


def test_changes_wait_while_the_platform_is_in_the_way(office: Office) -> None:
    office.follow("oLi")
    office.sync()
    office.rename("oLi", "李")
    for errcode in (45009, 40164):
        office.pass_midnight()
        office.api.errcodes["/cgi-bin/user/info/updateremark"] = [errcode]
        office.tell()
        assert office.waiting() == [("remark", 0)]
    office.pass_midnight()
    office.capabilities.override(ACTOR, office.account_id, Feature.FOLLOWERS, False)
    office.tell()
    assert office.waiting() == [("remark", 0)]
    office.capabilities.override(ACTOR, office.account_id, Feature.FOLLOWERS, None)
    office.tell()
    assert office.played("oLi").remark == "李"


def test_a_tag_deleted_at_the_platform_is_made_again(office: Office) -> None:
    office.add_tag(100, "VIP")
    office.follow("oLi")
    office.sync()
    with office.api.store.opened() as state:
        state.tags = state.tags[:-1]
    office.tag("VIP", "oLi")
    for _ in range(2):
        office.tell()
    assert office.played("oLi").tags == [office.platform_tags()["VIP"]]


def test_nothing_waits_to_be_told_where_the_account_may_not(office: Office) -> None:
    office.follow("oLi")
    office.sync()
    office.capabilities.record_response(office.account_id, Feature.FOLLOWERS, allowed=False)
    office.rename("oLi", "李")
    office.tag("VIP", "oLi")
    assert office.waiting() == []


def test_one_worker_looks_after_the_followers(office: Office) -> None:
    office.follow("oLi")
    office.sync()
    office.rename("oLi", "李")
    with office.app.app_context():
        synchronize_followers(office.app, "first")
        assert office.waiting()  # nobody has heard of it yet
        heartbeat(office.engine, "first")
        heartbeat(office.engine, "second")
        synchronize_followers(office.app, "second")
        assert office.waiting()
        synchronize_followers(office.app, "first")
        assert office.waiting() == []
        with office.engine.begin() as connection:
            silent = datetime.now(UTC) - timedelta(minutes=2)
            connection.execute(update(Worker).where(Worker.name == "first").values(seen_at=silent))
        office.rename("oLi", "雷")
        synchronize_followers(office.app, "second")
        assert office.waiting() == []
