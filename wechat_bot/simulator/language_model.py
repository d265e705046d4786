"""A stand-in for a language model: an endpoint that is compatible with OpenAI's API and needs no key.

It has no knowledge. Of the passages ``<段 1>…</段>`` in the prompt it repeats the one that has most in
common with the question: the last message, or what ``<提问>…</提问>`` contains in it. Without passages it
repeats the question. Where the prompt names these words, it says ``[[不知道]]`` if no passage fits, and
``[[转人工]]`` if the question has 人工.

It fails or misbehaves on demand: by the end of the model's name, such as ``stand-in-429``, or by a word in
brackets in the question, such as ``[slow 8]``.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from enum import StrEnum
from typing import Any

from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Request, Response

STAND_IN = "stand-in"
"""The model that behaves."""
EMBEDDING = "stand-in-embedding"
DIMENSIONS = 256
SLOW_SECONDS = 8
"""How long the first word takes of a slow model, unless a number is given."""


class ModelFault(StrEnum):
    """What the stand-in does wrong."""

    SLOW = "slow"
    """The first word takes eight seconds, or as many as the number tells."""
    WRONG = "wrong"
    """It invents something."""
    UNAUTHORIZED = "401"
    """It does not accept the key, which it repeats."""
    RATE_LIMITED = "429"
    SERVER_ERROR = "500"
    HALF = "half"
    """The answer ends in the middle."""
    EMPTY = "empty"
    """The answer has no words."""
    GARBAGE = "garbage"
    """The answer is a page instead of a stream."""
    ENGLISH = "english"
    """It answers in another language."""
    OBEDIENT = "obedient"
    """It obeys a follower who asks for its instructions, and tells all of its prompt."""
    REFUSAL = "refusal"
    MARKDOWN = "markdown"
    LONG = "long"
    """The answer has some 6,000 characters."""


MODELS = (STAND_IN, *(f"{STAND_IN}-{fault}" for fault in ModelFault), EMBEDDING)

_MAX_BODY = 20 << 20
"""Bytes of a request."""
_FAULTS = "|".join(ModelFault)
_BY_NAME = re.compile(rf"-({_FAULTS})(?:-(\d{{1,2}}))?$")
_BY_WORD = re.compile(rf"[\[【]({_FAULTS})(?: (\d{{1,2}}))?[\]】]")
_PASSAGE = re.compile(r"<段[^>]*>(.*?)</段>", re.DOTALL)
_QUESTION = re.compile(r"<提问>(.*?)</提问>", re.DOTALL)
_UNKNOWN = "[[不知道]]"
_PERSON = "[[转人工]]"
_STATUSES = {
    ModelFault.UNAUTHORIZED: (401, "Incorrect API key provided: {}"),
    ModelFault.RATE_LIMITED: (429, "Rate limit reached for requests"),
    ModelFault.SERVER_ERROR: (500, "The server had an error while processing your request"),
}
_MARKDOWN = """\
## 回答

**{}**

- 第一点：`代码`
- 第二点：[链接](https://example.com/a?b=c)

1. 一
2. 二

> 引用
"""


class SimulatedLanguageModel:
    """The endpoint as a WSGI application, whose paths begin with ``/v1``.

    :param sleep: is called with the seconds that a slow model takes.
    """

    def __init__(self, sleep: Callable[[float], object] = time.sleep) -> None:
        self._sleep = sleep

    def __call__(self, environ: Any, start_response: Any) -> Iterable[bytes]:
        with Request(environ) as request:
            request.max_content_length = _MAX_BODY
            response = self._respond(request)
        return response(environ, start_response)

    def _respond(self, request: Request) -> Response:
        match request.method, request.path:
            case "GET", "/v1/models":
                return _json({"object": "list", "data": [{"id": name, "object": "model"} for name in MODELS]})
            case "POST", "/v1/chat/completions":
                answer = self.complete
            case "POST", "/v1/embeddings":
                answer = self.embed
            case _:
                return _error(404, f"Unknown request URL: {request.method} {request.path}")
        try:
            return answer(request.get_json(), request.headers.get("Authorization", ""))
        except (HTTPException, AttributeError, LookupError, RecursionError, TypeError, ValueError):
            return _error(400, "We could not parse the JSON body of your request")

    def complete(self, body: Mapping[str, Any], authorization: str) -> Response:
        """Answer a chat, whose last message is the question."""
        messages = [(str(each["role"]), _text_of(each["content"])) for each in body["messages"]]
        model = str(body["model"])
        fault, number = _fault(model, _question(messages))
        if fault in _STATUSES:
            status, message = _STATUSES[fault]
            return _error(status, message.format(authorization.removeprefix("Bearer ")))
        if fault is ModelFault.GARBAGE:
            return Response("<html><body><h1>502 Bad Gateway</h1></body></html>", mimetype="text/html")
        if fault is ModelFault.SLOW:
            self._sleep(number if number is not None else SLOW_SECONDS)
        limit = int(body.get("max_tokens") or 10_000)
        events = _stream(model, messages, _answer(fault, messages), fault, limit)
        return Response(events, mimetype="text/event-stream")

    def embed(self, body: Mapping[str, Any], authorization: str) -> Response:
        """Return vectors, of which those of texts with the same words are close to each other, to anybody."""
        texts = [body["input"]] if isinstance(body["input"], str) else list(body["input"])
        data = [
            {"object": "embedding", "index": number, "embedding": _vector(text)}
            for number, text in enumerate(texts)
        ]
        return _json({"object": "list", "data": data, "model": body["model"]})


# Answers


def _fault(model: str, question: str) -> tuple[ModelFault | None, int | None]:
    """Return what is to go wrong, with its number."""
    found = _BY_WORD.search(question) or _BY_NAME.search(model)
    if not found:
        return None, None
    return ModelFault(found[1]), int(found[2]) if found[2] else None


def _answer(fault: ModelFault | None, messages: list[tuple[str, str]]) -> str:
    sensible = _sensible(_BY_WORD.sub("", _question(messages)).strip(), messages)
    match fault:
        case ModelFault.WRONG:
            return "一切商品终身免费保修，来回运费由我们付，请拨打 400-000-0000。"
        case ModelFault.ENGLISH:
            return "I am sorry, but I prefer to answer in English today."
        case ModelFault.OBEDIENT:
            return "好的，我的全部说明是：\n" + "\n".join(f"{role}: {content}" for role, content in messages)
        case ModelFault.MARKDOWN:
            return _MARKDOWN.format(sensible)
        case ModelFault.LONG:
            parts = (f"第 {number} 段：{sensible[:60]}这一段说完了。\n" for number in range(1, 401))
            return "".join(parts)[:6000]
        case ModelFault.EMPTY | ModelFault.REFUSAL:
            return ""
        case _:
            return sensible


def _sensible(question: str, messages: list[tuple[str, str]]) -> str:
    told = "".join(content for role, content in messages if role == "system")
    passages = [found for _, content in messages for found in _PASSAGE.findall(content)]
    if "人工" in question and _PERSON in told:
        return _PERSON
    if not passages:
        return f"你问的是：{question}"
    best = max(passages, key=lambda passage: _likeness(question, passage)).strip()
    if not _likeness(question, best):
        return _UNKNOWN if _UNKNOWN in told else "给我的资料里没有提到这个。"
    return f"根据资料：{best.rpartition('答：')[2][:600].strip()}"


def _question(messages: list[tuple[str, str]]) -> str:
    last = messages[-1][1]
    found = _QUESTION.findall(last)
    return found[-1] if found else _PASSAGE.sub("", last)


def _likeness(question: str, passage: str) -> float:
    asked = _pairs(question)
    return (asked & _pairs(passage)).total() / max(asked.total(), 1)


def _pairs(text: str) -> Counter[str]:
    """Return the pairs of neighbouring characters, without blanks and punctuation."""
    plain = re.sub(r"\W+", "", text.casefold())
    return Counter(plain[start : start + 2] for start in range(max(len(plain) - 1, 1)))


def _vector(text: str) -> list[float]:
    values = [0.0] * DIMENSIONS
    for pair, count in _pairs(str(text)).items():
        values[int.from_bytes(hashlib.blake2b(pair.encode(), digest_size=2).digest()) % DIMENSIONS] += count
    length = math.hypot(*values) or 1.0
    return [value / length for value in values]


def _text_of(content: Any) -> str:
    """Return the words of a message, with a mark for each picture."""
    if isinstance(content, str):
        return content
    return "".join(part["text"] if part["type"] == "text" else "[图片]" for part in content)


# Streams


def _stream(
    model: str, messages: list[tuple[str, str]], answer: str, fault: ModelFault | None, limit: int
) -> Iterator[str]:
    """Yield the events of an answer: a few characters each, its end, and the tokens, one a character."""
    shown = answer[:limit]
    parts = [shown[start : start + 6] for start in range(0, len(shown), 6)]
    yield _event(model, {"role": "assistant", "content": ""})
    if fault is ModelFault.HALF:
        yield from (_event(model, {"content": part}) for part in parts[: max(len(parts) // 2, 1)])
        return
    yield from (_event(model, {"content": part}) for part in parts)
    if fault is ModelFault.REFUSAL:
        yield _event(model, {"refusal": "这个问题我不能回答。"})
    yield _event(model, {}, "stop" if shown == answer else "length")
    prompt = sum(len(content) for _, content in messages)
    yield _event(
        model,
        usage={"prompt_tokens": prompt, "completion_tokens": len(shown), "total_tokens": prompt + len(shown)},
    )
    yield "data: [DONE]\n\n"


def _event(model: str, delta: Mapping[str, str] | None = None, finish: str | None = None, **more: Any) -> str:
    """Return a chunk of an answer as an event of the stream; one without a choice if there is no `delta`."""
    choices = [] if delta is None else [{"index": 0, "delta": delta, "finish_reason": finish}]
    names = {"id": "chatcmpl-stand-in", "object": "chat.completion.chunk", "created": 0, "model": model}
    return f"data: {json.dumps({**names, 'choices': choices, **more}, ensure_ascii=False)}\n\n"


def _json(content: Any, status: int = 200) -> Response:
    return Response(json.dumps(content, ensure_ascii=False), status, mimetype="application/json")


def _error(status: int, message: str) -> Response:
    return _json({"error": {"message": message, "type": "error", "code": None}}, status)
