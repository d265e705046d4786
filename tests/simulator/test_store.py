"""What a folder of the simulated platform keeps is bounded."""

from __future__ import annotations

from pathlib import Path

import pytest

from wechat_bot.simulator import store
from wechat_bot.simulator.state import MAX_ITEMS, Sent, SimulatedShortKey
from wechat_bot.simulator.store import FileStore, StoreFull


@pytest.fixture
def folder(tmp_path: Path) -> FileStore:
    return FileStore(tmp_path)


def test_the_oldest_items_make_room(folder: FileStore) -> None:
    with folder.opened() as state:
        state.sent = [Sent("", "o1", {}, number) for number in range(MAX_ITEMS + 2)]
        state.short_keys = {str(number): SimulatedShortKey("", 0, 0) for number in range(MAX_ITEMS + 2)}
    with folder.opened() as state:
        assert [each.at for each in state.sent][:: MAX_ITEMS - 1] == [2, MAX_ITEMS + 1]
        assert [*state.short_keys][:: MAX_ITEMS - 1] == ["2", str(MAX_ITEMS + 1)]


def send_too_much(folder: FileStore) -> None:
    with folder.opened() as state:
        state.menuid = 2
        state.sent = [Sent("", "o1", {"text": "x" * store.MAX_STATE}, 0)]


def test_a_state_that_is_too_large_is_not_saved(folder: FileStore) -> None:
    with folder.opened() as state:
        state.menuid = 1
    with pytest.raises(StoreFull):
        send_too_much(folder)
    with folder.opened() as state:
        assert (state.menuid, state.sent) == (1, [])


def test_the_oldest_media_make_room(folder: FileStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "MAX_MEDIA", 25)
    for name in ("first", "second", "third"):
        folder.write(name, b"x" * 10)
    with pytest.raises(FileNotFoundError):
        folder.read("first")
    assert folder.read("second") == folder.read("third") == b"x" * 10
