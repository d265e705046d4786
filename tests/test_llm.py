"""The client of language models, against the stand-in and against endpoints that misbehave."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any

import httpx2
import pytest
from werkzeug.wrappers import Response

from tests.waiting import PATIENCE
from wechat_bot.llm import ChatMessage, LanguageModel, ModelError, ModelErrorReason, Usage, estimate_tokens
from wechat_bot.testing import FakeModel, ModelFault, listening

KEY = "sk-4f1c9a7d2e8b6035"
PASSAGES = """只根据资料回答。
<段 1>问：可以退货吗？
答：七天之内可以退货，运费由买家付。</段>
<段 2>我们每天九点到二十一点营业。</段>"""


def prompt(question: str, system: str = PASSAGES) -> list[ChatMessage]:
    return [ChatMessage("system", system), ChatMessage("user", question)]


def ask(model: LanguageModel, question: str = "能不能退货？", max_tokens: int = 8000) -> str:
    return "".join(model.stream(prompt(question), max_tokens=max_tokens))


def failing(model: LanguageModel, question: str = "能不能退货？") -> tuple[ModelError, str]:
    """Return the error of an answer, and what had arrived before it."""
    parts: list[str] = []
    with pytest.raises(ModelError) as caught:
        parts.extend(model.stream(prompt(question), max_tokens=8000))
    assert KEY not in str(caught.value) + repr(caught.value) + caught.value.detail
    return caught.value, "".join(parts)


# The stand-in


def test_it_repeats_the_passage_that_answers() -> None:
    assert ask(FakeModel().model()) == "根据资料：七天之内可以退货，运费由买家付。"
    assert ask(FakeModel().model(), "几点营业") == "根据资料：我们每天九点到二十一点营业。"
    assert ask(FakeModel().model(), "董事长姓什么") == "给我的资料里没有提到这个。"


def test_without_passages_it_repeats_the_question() -> None:
    stream = FakeModel().model().stream([ChatMessage("user", "你好")], max_tokens=100)
    assert "".join(stream) == "你问的是：你好"


def test_it_says_what_the_prompt_tells_it_to_say() -> None:
    told = PASSAGES + "不知道时只输出 [[不知道]]，要人工时只输出 [[转人工]]。"
    asked = [
        ("董事长姓什么", "[[不知道]]"),
        ("我要人工", "[[转人工]]"),
        ("几点营业", "根据资料：我们每天九点到二十一点营业。"),
    ]
    for question, answer in asked:
        messages = prompt(f"<资料></资料><提问>\n{question}\n</提问>", told)
        assert "".join(FakeModel().model().stream(messages, max_tokens=99)) == answer


def test_the_answer_arrives_in_parts_with_its_tokens() -> None:
    stream = FakeModel().model().stream(prompt("几点营业"), max_tokens=100)
    parts = list(stream)
    assert len(parts) > 2
    assert stream.usage == Usage(len(PASSAGES) + 4, len("".join(parts)))


FAILING = {
    ModelFault.UNAUTHORIZED: ModelErrorReason.UNAUTHORIZED,
    ModelFault.RATE_LIMITED: ModelErrorReason.RATE_LIMITED,
    ModelFault.SERVER_ERROR: ModelErrorReason.UNREACHABLE,
    ModelFault.HALF: ModelErrorReason.INTERRUPTED,
    ModelFault.EMPTY: ModelErrorReason.INVALID,
    ModelFault.GARBAGE: ModelErrorReason.INVALID,
    ModelFault.REFUSAL: ModelErrorReason.REFUSED,
}
ANSWERING = {
    ModelFault.WRONG: "终身免费保修",
    ModelFault.ENGLISH: "in English",
    ModelFault.OBEDIENT: "system: 只根据资料回答。",
    ModelFault.MARKDOWN: "**根据资料：七天之内可以退货，运费由买家付。**",
    ModelFault.LONG: "第 100 段",
    ModelFault.SLOW: "七天之内可以退货",
}


def test_every_fault_is_tried() -> None:
    assert FAILING.keys() | ANSWERING.keys() == set(ModelFault)


@pytest.mark.parametrize(("fault", "reason"), FAILING.items())
def test_a_fault_is_an_error_with_its_reason(fault: ModelFault, reason: ModelErrorReason) -> None:
    fake = FakeModel()
    by_name, _ = failing(fake.model(f"stand-in-{fault}", KEY))
    by_word, _ = failing(fake.model(key=KEY), f"能不能退货？【{fault}】")
    assert by_name.reason is by_word.reason is reason
    assert len(fake.requests) == 2, "nothing is asked twice"


def test_half_an_answer_arrives_before_its_error() -> None:
    error, arrived = failing(FakeModel().model("stand-in-half"))
    assert error.reason is ModelErrorReason.INTERRUPTED
    assert "根据资料：七天之内可以退货".startswith(arrived)
    assert arrived


@pytest.mark.parametrize(("fault", "expected"), ANSWERING.items())
def test_a_model_that_misbehaves_answers_all_the_same(fault: ModelFault, expected: str) -> None:
    slept: list[float] = []
    fake = FakeModel(slept.append)
    assert expected in ask(fake.model(f"stand-in-{fault}"))
    assert expected in ask(fake.model(), f"能不能退货？[{fault}]")
    assert slept == ([8, 8] if fault is ModelFault.SLOW else [])


def test_a_slow_model_takes_as_long_as_it_is_told() -> None:
    slept: list[float] = []
    fake = FakeModel(slept.append)
    ask(fake.model("stand-in-slow-30"))
    ask(fake.model(), "几点营业 [slow 0]")
    assert slept == [30, 0]


def test_an_answer_is_no_longer_than_allowed() -> None:
    assert len(ask(FakeModel().model("stand-in-long"), max_tokens=50)) == 50


def test_parameters_are_part_of_every_call() -> None:
    fake = FakeModel()
    ask(replace(fake.model(), parameters={"enable_thinking": False}))
    assert fake.requests[0]["enable_thinking"] is False
    assert fake.requests[0]["stream"] is True


def test_a_model_that_thinks_until_no_token_is_left_is_invalid() -> None:
    body = events({"choices": [{"delta": {"reasoning_content": "想"}, "finish_reason": "length"}]})
    error, arrived = failing(model_of(Response(body, mimetype="text/event-stream")))
    assert (error.reason, arrived) == (ModelErrorReason.INVALID, "")
    assert "max_tokens" in error.detail


def test_pictures_are_sent_with_their_kinds() -> None:
    fake = FakeModel()
    picture = b"\x89PNG\r\n"
    answer = "".join(
        fake.model().stream([ChatMessage("user", "这是什么", (picture, b"\xff\xd8"))], max_tokens=99)
    )
    assert answer == "你问的是：这是什么[图片][图片]"
    urls = [part["image_url"]["url"] for part in fake.requests[0]["messages"][0]["content"][1:]]
    assert [url.partition(",")[0] for url in urls] == ["data:image/png;base64", "data:image/jpeg;base64"]


def test_vectors_of_like_texts_are_close() -> None:
    texts = ["七天之内可以退货", "七天之内不可以退货", "营业时间是九点"] + ["。"] * 20
    vectors = FakeModel().model().embed(texts, "stand-in-embedding")
    assert len(vectors) == 23

    def closeness(one: int, other: int) -> float:
        return sum(a * b for a, b in zip(vectors[one], vectors[other], strict=True))

    assert closeness(0, 1) > 0.8 > closeness(0, 2)


# Endpoints that misbehave

App = Callable[[Any, Any], Iterable[bytes]]


def model_of(app: App, **options: Any) -> LanguageModel:
    return LanguageModel(
        "http://model.test/v1", KEY, "any", transport=httpx2.WSGITransport(app=app), **options
    )


def events(*chunks: object) -> str:
    return "".join(f"data: {each if isinstance(each, str) else json.dumps(each)}\n\n" for each in chunks)


def choice(content: object = None, **values: object) -> dict[str, object]:
    return {"choices": [{"index": 0, "delta": {"content": content}, **values}]}


@pytest.mark.parametrize(
    ("status", "message", "reason"),
    [
        (400, "data_inspection_failed", ModelErrorReason.REFUSED),
        (400, "content_filter", ModelErrorReason.REFUSED),
        (400, "no such parameter", ModelErrorReason.INVALID),
        (402, "Insufficient Balance", ModelErrorReason.RATE_LIMITED),
        (403, f"the key {KEY} is not yours", ModelErrorReason.UNAUTHORIZED),
        (404, "no such model", ModelErrorReason.INVALID),
        (504, "gateway time-out", ModelErrorReason.TIMEOUT),
        (302, "elsewhere", ModelErrorReason.INVALID),
        (503, f"{KEY} " * 1000, ModelErrorReason.UNREACHABLE),
    ],
)
def test_a_status_has_a_reason(status: int, message: str, reason: ModelErrorReason) -> None:
    body = {"error": {"message": message, "code": message[:40]}}
    answer = Response(json.dumps(body), status, mimetype="application/json")
    error, _ = failing(model_of(answer))
    assert error.reason is reason
    assert len(error.detail) <= 300
    assert message[:3] in error.detail.replace("•••", KEY)


@pytest.mark.parametrize(
    "body",
    [
        "",
        "{}",
        "data: {not json}\n\n",
        events([1, 2]),
        events("null"),
        events({"choices": "abc"}),
        events({"choices": [7]}),
        events({"choices": [{"delta": {"content": ["a"]}}]}),
        events({"choices": [{"delta": None, "finish_reason": "stop"}]}),
        events({"choices": [], "usage": {"prompt_tokens": "x", "completion_tokens": []}}),
        events({"choices": [], "usage": 7}),
        events("[DONE]"),
    ],
)
def test_what_is_no_answer_is_invalid(body: str) -> None:
    error, _ = failing(model_of(Response(body, mimetype="text/event-stream")))
    assert error.reason is ModelErrorReason.INVALID


def test_an_answer_that_was_stopped_for_its_content_is_refused() -> None:
    body = events(choice("在"), choice(finish_reason="content_filter"))
    error, arrived = failing(model_of(Response(body, mimetype="text/event-stream")))
    assert (error.reason, arrived) == (ModelErrorReason.REFUSED, "在")


@pytest.mark.parametrize("error", [{"message": f"out of memory {KEY}"}, "overloaded"])
def test_an_error_within_the_answer_interrupts_it(error: object) -> None:
    body = events(choice("在"), {"error": error})
    found, arrived = failing(model_of(Response(body, mimetype="text/event-stream")))
    assert (found.reason, arrived) == (ModelErrorReason.INTERRUPTED, "在")


def test_tokens_are_estimated_if_the_endpoint_tells_none() -> None:
    body = events(choice("七天之内"), choice("ok ok", finish_reason="stop"))
    stream = model_of(Response(body, mimetype="text/event-stream")).stream(
        prompt("退货", "abcd"), max_tokens=9
    )
    assert "".join(stream) == "七天之内ok ok"
    assert stream.usage == Usage(3, 4 + 2)
    assert estimate_tokens("") == 0


@pytest.mark.parametrize(
    ("parts", "answer"),
    [
        (["<think>想一想</think>", "七天"], "七天"),
        (["\n<th", "ink>想", "一想</th", "ink>七", "天"], "七天"),
        (["<think></think>七天"], "七天"),
        (["<th", "is>"], "<this>"),
        (["<"], "<"),
        (["  ", "七天"], "  七天"),
        (["七天<think>不是</think>"], "七天<think>不是</think>"),
    ],
)
def test_what_a_model_thinks_aloud_is_no_answer(parts: list[str], answer: str) -> None:
    body = events(*map(choice, parts), choice(finish_reason="stop"))
    stream = model_of(Response(body, mimetype="text/event-stream")).stream(prompt("退货"), max_tokens=9)
    assert "".join(stream) == answer


def test_a_model_that_only_thinks_gives_no_answer() -> None:
    body = events(choice("<think>想"), choice("一想", finish_reason="stop"))
    error, arrived = failing(model_of(Response(body, mimetype="text/event-stream")))
    assert (error.reason, arrived) == (ModelErrorReason.INVALID, "")


@pytest.mark.parametrize("usage", [7, {}, {"prompt_tokens": "x", "completion_tokens": 1}, None])
def test_tokens_that_make_no_sense_are_estimated(usage: object) -> None:
    body = events(choice("好", finish_reason="stop"), {"choices": [], "usage": usage})
    stream = model_of(Response(body, mimetype="text/event-stream")).stream(prompt("退货", ""), max_tokens=9)
    assert list(stream) == ["好"]
    assert stream.usage == Usage(2, 1)


def test_nobody_listens() -> None:
    with listening(FakeModel()) as url:
        pass
    error, _ = failing(LanguageModel(f"{url}/v1", KEY, "any"))
    assert error.reason is ModelErrorReason.UNREACHABLE


def test_over_the_network_answers_arrive_and_break_off() -> None:
    with listening(FakeModel()) as url:
        assert ask(LanguageModel(f"{url}/v1", KEY, "stand-in")).startswith("根据资料")
        assert ask(LanguageModel(f"{url}/v1/", "", "stand-in")).startswith("根据资料")
        error, arrived = failing(LanguageModel(f"{url}/v1", KEY, "stand-in-half"))
    assert (error.reason, bool(arrived)) == (ModelErrorReason.INTERRUPTED, True)


def test_a_model_that_says_nothing_times_out() -> None:
    released = threading.Event()
    with listening(FakeModel(lambda _seconds: released.wait())) as url:
        error, _ = failing(LanguageModel(f"{url}/v1", KEY, "stand-in-slow", timeout=0.2))
        released.set()
    assert error.reason is ModelErrorReason.TIMEOUT


def test_a_model_that_never_ends_times_out() -> None:
    released = threading.Event()

    def endless() -> Iterator[str]:
        while not released.wait(0.01):
            yield events(choice("在"))

    answer = Response(endless(), mimetype="text/event-stream")
    with listening(answer) as url:
        for timeout in (0.5, 5, PATIENCE):  # a busy machine may take long to say anything
            error, arrived = failing(LanguageModel(f"{url}/v1", KEY, "any", timeout=timeout))
            if arrived:
                break
        released.set()
    assert (error.reason, arrived[:1]) == (ModelErrorReason.TIMEOUT, "在")


@pytest.mark.parametrize(
    "data", [[], {}, None, [{"index": 0}] * 2, [{"index": 0, "embedding": ["x"]}] * 2, ["x", "y"]]
)
def test_vectors_that_are_none_are_an_error(data: object) -> None:
    answer = Response(json.dumps({"data": data}), mimetype="application/json")
    with pytest.raises(ModelError) as caught:
        model_of(answer).embed(["一", "二"], "any")
    assert caught.value.reason is ModelErrorReason.INVALID


def test_vectors_come_in_the_order_of_their_texts() -> None:
    data = [{"index": 1, "embedding": [0, 1]}, {"index": 0, "embedding": [1, 0]}]
    answer = Response(json.dumps({"data": data}), mimetype="application/json")
    assert model_of(answer).embed(["一", "二"], "any") == [[1.0, 0.0], [0.0, 1.0]]


# Secrets


@pytest.mark.parametrize("url", ["", "ftp://a/v1", "file:///etc/passwd", "model.test"])
def test_an_address_is_one_of_http(url: str) -> None:
    with pytest.raises(ValueError, match="begins with https://"):
        LanguageModel(url, KEY, "any")


@pytest.mark.parametrize("key", ["a b", "a\r\nX-Evil: 1", "密钥", "a\x00"])
def test_a_key_that_is_no_header_is_not_told(key: str) -> None:
    with pytest.raises(ValueError, match="visible ASCII") as caught:
        LanguageModel("https://a/v1", key, "any")
    assert key not in str(caught.value)


def test_the_key_and_the_words_of_followers_are_in_no_log(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG), listening(FakeModel()) as url:
        model = LanguageModel(f"{url}/v1", KEY, "stand-in")
        ask(model, "我的电话是一三八")
        failing(LanguageModel(f"{url}/v1", KEY, "stand-in-401"))
    assert KEY not in caplog.text + repr(model)
    assert "一三八" not in caplog.text


def test_the_library_is_imported_when_a_model_is_used() -> None:
    code = "import sys, wechat_bot, wechat_bot.llm; sys.exit('openai' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
