"""Who sees a conditional menu, and which calls bring the platform's menus into our order."""

from __future__ import annotations

import pytest

from tests.services.menus.test_buttons import HELP, MENU, SHOP
from wechat_bot.services.menus.arrangement import WantedMenu, plan
from wechat_bot.services.menus.audiences import EVERYBODY, Audience
from wechat_bot.services.menus.checks import Fault, findings
from wechat_bot.wechat.api.menu import Buttons

STARRED, IPHONE = Audience("2"), Audience("", "1")
BOTH = Audience("2", "1")


@pytest.mark.parametrize(
    ("audience", "tags", "client", "included"),
    [
        (STARRED, {"2", "7"}, "", True),
        (STARRED, {"7"}, "", False),
        (IPHONE, set(), "1", True),
        (IPHONE, {"2"}, "2", False),
        (IPHONE, {"2"}, "", False),
        (BOTH, {"2"}, "1", True),
        (BOTH, {"2"}, "2", False),
        (EVERYBODY, {"2"}, "1", False),
    ],
)
def test_all_conditions_of_a_menu_have_to_hold(
    audience: Audience, tags: set[str], client: str, included: bool
) -> None:
    assert audience.includes(tags, client) is included
    assert Audience.of(audience.matchrule) == audience


@pytest.mark.parametrize(
    ("before", "audience", "faults"),
    [
        ((), EVERYBODY, [Fault.NO_AUDIENCE]),
        ((), STARRED, []),
        ((STARRED,), BOTH, [Fault.SHADOWED]),
        ((STARRED, BOTH), IPHONE, []),
        ((EVERYBODY,), STARRED, []),
    ],
)
def test_a_menu_needs_a_condition_that_no_menu_before_it_covers(
    before: tuple[Audience, ...], audience: Audience, faults: list[Fault]
) -> None:
    assert [finding.fault for finding in findings((SHOP,), audience, before)] == faults


# The order at the platform. `a` is asked last, `d` was made elsewhere.

A, B = WantedMenu(1, (HELP,), STARRED, "11"), WantedMenu(2, (SHOP,), IPHONE, "12")
SHOWN_A = Buttons((HELP,), "11", STARRED.matchrule)
SHOWN_B = Buttons((SHOP,), "12", IPHONE.matchrule)
SHOWN_D = Buttons((HELP, SHOP), "13", {"tag_id": "9"})
NEW_A = WantedMenu(1, MENU, STARRED)
C = WantedMenu(3, MENU, BOTH)


@pytest.mark.parametrize(
    ("shown", "wanted", "kept", "added", "deleted"),
    [
        ([], [A, B], {}, [A, B], []),
        ([SHOWN_A, SHOWN_B], [A, B], {1: "11", 2: "12"}, [], []),
        ([SHOWN_A, SHOWN_B], [A, B, C], {1: "11", 2: "12"}, [C], []),
        ([SHOWN_A, SHOWN_B], [A, C, B], {1: "11"}, [C, B], ["12"]),
        ([SHOWN_A, SHOWN_B], [NEW_A, B], {}, [NEW_A, B], ["11", "12"]),
        ([SHOWN_A, SHOWN_D, SHOWN_B], [B, A], {2: "12"}, [A], ["11"]),
        ([SHOWN_A, SHOWN_D], [A], {1: "11"}, [], []),
    ],
)
def test_what_has_changed_and_what_is_asked_before_it_is_added_again(
    shown: list[Buttons],
    wanted: list[WantedMenu],
    kept: dict[int, str],
    added: list[WantedMenu],
    deleted: list[str],
) -> None:
    found = plan(shown, wanted, ["11", "12"])
    assert (found.kept, list(found.added), list(found.deleted)) == (kept, added, deleted)


def test_what_was_added_before_a_process_ended_is_recognised() -> None:
    added = Buttons(MENU, "14", STARRED.matchrule)
    found = plan([SHOWN_A, SHOWN_B, added], [NEW_A, B], ["11", "12"])
    assert (found.kept, list(found.added), list(found.deleted)) == ({1: "14"}, [B], ["11", "12"])
