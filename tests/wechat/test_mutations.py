"""Whatever is pushed, it becomes a message or is refused: there is no third way."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tests.wechat.corpus import BODIES, body
from tests.wechat.pushes import encrypted, pushed, received, signed, text, webhook
from wechat_bot.wechat import xml
from wechat_bot.wechat.credentials import Mode
from wechat_bot.wechat.errors import WebhookError
from wechat_bot.wechat.replies import TextReply

WEBHOOKS = {mode: webhook(mode) for mode in Mode}
FRAGMENTS = st.binary(max_size=8) | st.sampled_from(
    b"\0 \xff \xef\xbf\xbf ]]> <![CDATA[ <a> </xml> &#0; &x; <!DOCTYPE\tx> 99999999999999999999999".split(
        b" "
    )
)


@st.composite
def mutated(draw: st.DrawFn, originals: st.SearchStrategy[bytes]) -> bytes:
    """One of `originals` with bytes overwritten, deleted, inserted, repeated or cut off."""
    data = draw(originals)
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(data)))
        end = draw(st.integers(start, min(len(data), start + 40)))
        new = draw(st.just(data[start:end] * 2) | FRAGMENTS)
        data = data[:start] + new + data[end:]
    return draw(st.sampled_from([data, data[: draw(st.integers(0, len(data)))]]))


def survives(mode: Mode, query: str, sent: bytes) -> None:
    try:
        incoming = received(WEBHOOKS[mode], query, sent)
    except WebhookError:
        return
    assert len(incoming.message.dedup_key) == 32
    assert xml.parse(WEBHOOKS[mode].seal(incoming, TextReply("好的")).encode())


bodies = st.sampled_from([body(name) for name in BODIES])


@given(mutated(bodies), st.sampled_from([Mode.PLAIN, Mode.SAFE]))
def test_any_genuine_body_is_a_message_or_refused(sent: bytes, mode: Mode) -> None:
    query, sent = pushed(mode, sent)
    survives(mode, text(query), sent)


ENCRYPTED = [encrypted(body(name)) for name in ("messages/text", "events/subscribe_scene")]


@given(st.data(), st.sampled_from(ENCRYPTED))
def test_any_envelope_is_opened_or_refused(data: st.DataObject, push: tuple[dict[str, str], bytes]) -> None:
    survives(Mode.SAFE, text(push[0]), data.draw(mutated(st.just(push[1]))))


@given(mutated(st.sampled_from([text(signed()), text(ENCRYPTED[0][0])]).map(str.encode)))
def test_any_query_is_accepted_or_refused(query: bytes) -> None:
    for mode in Mode:
        survives(mode, query.decode("ascii", errors="replace"), ENCRYPTED[0][1])
