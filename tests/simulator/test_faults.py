"""Faults of the simulated API, and its state, which processes share."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import asdict
from multiprocessing import get_context
from pathlib import Path

import httpx2
import pytest

from tests.simulator.conftest import CREDENTIALS, OK, TOKEN_QUERY, Caller, make_caller
from tests.waiting import PATIENCE, wait_until
from wechat_bot.simulator.sample_files import PNG
from wechat_bot.simulator.state import PlatformState, from_json, to_json
from wechat_bot.testing import APIFault, APIFaultKind, FakeAPI, FileStore, listening
from wechat_bot.wechat.account_kinds import AccountKind

SEND = "/cgi-bin/message/custom/send"
TEXT = {"touser": "o1", "msgtype": "text", "text": {"content": "在吗"}}


@pytest.fixture
def network() -> Iterator[Caller]:
    """A caller that uses real HTTP."""
    caller = make_caller()
    with listening(caller.api) as url, httpx2.Client(base_url=url) as http:
        caller.http = http
        yield caller


def test_the_next_calls_of_a_path_fail_with_the_errcodes_given(caller: Caller) -> None:
    caller.follow("o1")
    caller.api.errcodes[SEND] = [-1, 45015]
    assert [caller.errcode(SEND, TEXT) for _ in range(3)] == [-1, 45015, 0]
    assert len(caller.api.sent) == 1


def test_a_fault_is_of_a_path_or_of_all_and_for_some_calls(caller: Caller) -> None:
    caller.follow("o1")
    caller.api.fail(APIFault(APIFaultKind.ERRCODE, errcode=50002, times=2), SEND)
    assert "tags" in caller.get("/cgi-bin/tags/get")
    assert [caller.errcode(SEND, TEXT) for _ in range(3)] == [50002, 50002, 0]
    caller.api.fail(APIFault(APIFaultKind.ERRCODE, times=None))
    assert [caller.errcode(SEND, TEXT) for _ in range(3)] == [-1] * 3
    caller.state(lambda state: state.faults.clear())
    assert caller.errcode(SEND, TEXT) == 0


@pytest.mark.parametrize(
    ("kind", "status", "start"),
    [
        (APIFaultKind.STATUS_500, 500, b"Internal Server Error"),
        (APIFaultKind.HTML, 502, b"<html>"),
        (APIFaultKind.GARBAGE, 200, b"\xff\xfe"),
        (APIFaultKind.HUGE, 200, b'{"errmsg": "xxx'),
    ],
)
def test_a_response_may_be_lost_after_the_call_was_carried_out(
    caller: Caller, kind: APIFaultKind, status: int, start: bytes
) -> None:
    caller.follow("o1")
    caller.api.fail(APIFault(kind), SEND)
    answer = caller.raw("POST", SEND, json=TEXT)
    assert (answer.status_code, answer.content[: len(start)]) == (status, start)
    assert (len(answer.content) > 10_000_000) is (kind is APIFaultKind.HUGE)
    assert caller.api.sent == [TEXT]
    assert caller.post(SEND, TEXT) == OK


def test_a_connection_may_end_in_the_middle_of_an_answer(network: Caller) -> None:
    network.api.fail(APIFault(APIFaultKind.CUT), SEND)
    with pytest.raises(httpx2.RemoteProtocolError):
        network.post(SEND, TEXT)
    assert network.api.sent == [TEXT]


def test_an_answer_may_come_too_late(network: Caller) -> None:
    released = threading.Event()

    def hold(seconds: float) -> None:
        if seconds:
            released.wait(PATIENCE)

    network.api.sleep = hold
    network.api.fail(APIFault(APIFaultKind.DELAY, seconds=9), SEND)
    with pytest.raises(httpx2.ReadTimeout):
        network.raw("POST", SEND, json=TEXT, timeout=httpx2.Timeout(PATIENCE, read=0.1))
    released.set()
    wait_until(lambda: network.api.sent == [TEXT])


def test_a_slow_answer_does_not_hold_up_the_others(caller: Caller) -> None:
    waited: list[float] = []

    def meanwhile(seconds: float) -> None:
        if seconds:
            assert "tags" in caller.get("/cgi-bin/tags/get")
        waited.append(seconds)

    caller.api.sleep = meanwhile
    caller.api.fail(APIFault(APIFaultKind.DELAY, seconds=9), SEND)
    caller.post(SEND, TEXT)
    assert waited == [0, 9]


# State


def test_the_state_survives_as_json(caller: Caller) -> None:
    caller.api.follower_acted("o1", "follow", "7")
    caller.post("/cgi-bin/menu/create", {"button": [{"type": "click", "name": "一", "key": "k"}]})
    caller.post(SEND, TEXT)
    caller.post("/cgi-bin/nothing")
    caller.upload("/cgi-bin/media/upload", PNG, "a.png", type="image")
    added = caller.post("/cgi-bin/template/api_add_template", {"template_id_short": "TM1"})
    body = {"touser": "o1", "template_id": added["template_id"], "data": {"thing1": {"value": "x"}}}
    caller.post("/cgi-bin/message/template/send", body | {"client_msg_id": "m"})
    caller.api.fail(APIFault(APIFaultKind.HTML))
    caller.state(lambda state: setattr(state.account, "kind", AccountKind.TEST))
    with caller.api.store.opened() as state:
        copy = from_json(to_json(state))
        assert copy == state
        assert copy.account.kind is AccountKind.TEST


def test_a_state_of_another_version_is_read() -> None:
    data = asdict(PlatformState()) | {"horoscope": 1}
    del data["menu"]
    assert from_json(json.dumps(data)) == PlatformState()


def _follow(folder: Path, numbers: range) -> None:
    api = FakeAPI(CREDENTIALS, store=FileStore(folder))
    for number in numbers:
        api.follower_acted(f"o{number}", "follow")


def test_processes_share_a_folder(tmp_path: Path) -> None:
    other = get_context("spawn").Process(target=_follow, args=(tmp_path, range(20)))
    other.start()
    _follow(tmp_path, range(20, 40))
    other.join()
    caller = make_caller(store=FileStore(tmp_path))
    assert caller.get("/cgi-bin/user/get")["total"] == 40


def test_a_file_uploaded_to_one_process_is_served_by_another(tmp_path: Path) -> None:
    one, other = (make_caller(store=FileStore(tmp_path)) for _ in range(2))
    assert one.token == other.token
    media_id = one.upload("/cgi-bin/media/upload", PNG, "a.png", type="image")["media_id"]
    assert other.raw("GET", "/cgi-bin/media/get", {"media_id": media_id}).content == PNG
    one.api.advance(3 * 86400)
    token = other.http.post("/cgi-bin/stable_token", json=TOKEN_QUERY).json()["access_token"]
    assert other.get("/cgi-bin/media/get", access_token=token, media_id=media_id)["errcode"] == 40007


def test_an_exception_leaves_the_folder_unchanged(tmp_path: Path) -> None:
    store = FileStore(tmp_path)

    def fail() -> None:
        with store.opened() as state:
            state.menuid = 7
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    with store.opened() as state:
        assert state == PlatformState()
