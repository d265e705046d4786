"""Two readings of one reference: the client calls the platform that `wechat_bot.testing` plays."""

from __future__ import annotations

import pytest

from tests.wechat.api import test_account as account
from tests.wechat.api import test_desk as desk
from tests.wechat.api import test_files as files
from tests.wechat.api import test_followers as followers
from tests.wechat.api import test_messages as messages
from tests.wechat.api.recorded import CREDENTIALS, OPENID, OTHER, URL, Row, named, no_sleep
from wechat_bot.testing import FakeAPI, SimulatedAccount
from wechat_bot.wechat.account_kinds import AccountKind
from wechat_bot.wechat.api import WeChatClient
from wechat_bot.wechat.errors import APIError, Unreachable

ROWS = [
    *(*followers.USERS, *followers.TAGS, *followers.MENU),
    *(*messages.CUSTOMER, *messages.MASS, *messages.TEMPLATES, *messages.SUBSCRIBE),
    *(*files.MATERIAL, *files.DRAFTS, *files.PUBLISH, *desk.AGENTS, *desk.COMMENTS),
    *(*account.SYSTEM, *account.CODES, *account.STATISTICS, *account.OAUTH),
]


def failure(row: Row, client: WeChatClient) -> APIError | None:
    try:
        row[0](client)
    except APIError as error:
        return error
    return None


@pytest.mark.parametrize("row", ROWS, ids=named)
def test_the_played_platform_understands_the_call_and_its_answer_is_understood(row: Row) -> None:
    api = FakeAPI(CREDENTIALS, account=SimulatedAccount(kind=AccountKind.VERIFIED_SERVICE))
    for openid in (OPENID, OTHER):
        api.follower_acted(openid, "message")
    client = WeChatClient(CREDENTIALS, URL, api.transport, sleep=no_sleep)
    error = failure(row, client)  # it may well have no such tag or file
    assert not isinstance(error, Unreachable)
    assert error is None or error.errcode != 47001
    assert api.unknown == []
    assert row[1].partition(" ")[2] in api.calls
