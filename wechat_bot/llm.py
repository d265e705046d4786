"""Client of language models at any endpoint that is compatible with OpenAI's API.

That are DeepSeek, 通义千问, 豆包, Ollama, FastGPT, Dify and many others. The module knows no database. The
library `openai`, which takes half a second to import, is imported when a model is used.
"""

from __future__ import annotations

import base64
import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cache
from threading import Lock
from typing import TYPE_CHECKING, Any

import httpx2

from .wechat.api import Transport, deadline, network

if TYPE_CHECKING:
    from openai import APIStatusError, OpenAI

# Below WARNING the library logs what followers wrote; drop that at every log level.
for _logger in ("openai._base_client", "openai._legacy_response", "openai._response"):
    logging.getLogger(_logger).addFilter(lambda record: record.levelno >= logging.WARNING)

CONNECT_TIMEOUT = 5.0
"""Seconds in which an endpoint must accept a connection."""
MAX_CONNECTIONS = 1000
"""How many answers a process waits for at once."""
EMBEDDED_AT_ONCE = 10
"""The number of texts in one call; some endpoints accept no more."""
MAX_DETAIL = 300
_preparing = Lock()
"""Threads that ask at once share one client, of which each loads all certificates."""
_UNEXPECTED = (ValueError, TypeError, LookupError, AttributeError)
"""What is raised where the JSON of a response is not what it should be."""


class ModelErrorReason(StrEnum):
    """Why a model did not answer."""

    UNREACHABLE = "unreachable"
    """There is no connection, or the endpoint failed by itself."""
    TIMEOUT = "timeout"
    UNAUTHORIZED = "unauthorized"
    """The endpoint does not accept the key."""
    RATE_LIMITED = "rate_limited"
    """There were too many calls, or the balance is used up."""
    REFUSED = "refused"
    """The endpoint or the model does not answer this for reasons of content."""
    INVALID = "invalid"
    """The endpoint does not understand the call, such as the model's name, or its answer is none."""
    INTERRUPTED = "interrupted"
    """The answer ended before it was complete."""


class ModelError(Exception):
    """A model did not answer, or only in part."""

    def __init__(self, reason: ModelErrorReason, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else str(reason))
        self.reason = reason
        self.detail = detail
        """What the endpoint said, without the key."""


@dataclass(frozen=True)
class ChatMessage:
    """A message of a prompt."""

    role: str
    """``system``, ``user`` or ``assistant``."""
    content: str
    pictures: tuple[bytes, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return the message as the API takes it."""
        if not self.pictures:
            return {"role": self.role, "content": self.content}
        shown = [{"type": "image_url", "image_url": {"url": _data_url(each)}} for each in self.pictures]
        return {"role": self.role, "content": [{"type": "text", "text": self.content}, *shown]}


@dataclass(frozen=True)
class Usage:
    """The tokens of a call, which are estimated when the endpoint tells none."""

    prompt_tokens: int
    completion_tokens: int


@dataclass(frozen=True)
class LanguageModel:
    """A model at an endpoint.

    A call is made once: whoever waits gains nothing from a second wait, and it may cost twice.

    :raises ValueError: if the address is not one of HTTP or HTTPS, or the key cannot stand in a header.
    """

    base_url: str
    key: str = field(repr=False)
    """Empty, if the endpoint needs none."""
    model: str
    timeout: float = 60.0
    """Seconds for a whole answer."""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    """What calls of chats contain besides, such as how an endpoint is told not to think first."""
    transport: Transport | None = field(default=None, repr=False, compare=False)
    """Replaces the network in tests."""

    def __post_init__(self) -> None:
        if not self.base_url.startswith(("https://", "http://")):
            raise ValueError("the address of a language model begins with https:// or http://")
        if not is_valid_key(self.key):
            raise ValueError("the key of a language model consists of visible ASCII characters")

    def stream(self, messages: Sequence[ChatMessage], *, max_tokens: int) -> ChatStream:
        """Ask the model, and return its answer, which arrives while it is iterated.

        :raises ModelError: if the endpoint does not begin to answer; later, the iteration raises it.
        """
        from openai import Stream

        body = {
            **self.parameters,
            "model": self.model,
            "messages": [message.to_json() for message in messages],
            "max_tokens": max_tokens,
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        ends_at = time.monotonic() + self.timeout
        with self._errors(ModelErrorReason.UNREACHABLE), deadline(self.timeout):
            # As plain JSON: the library's own classes of chunks take ten times as long, and check nothing.
            chunks = self._client().post(
                "/chat/completions", cast_to=object, body=body, stream=True, stream_cls=Stream[object]
            )
        return ChatStream(self, chunks, messages, ends_at)

    def embed(self, texts: Sequence[str], model: str) -> list[list[float]]:
        """Return the vectors that an embedding model of the endpoint gives to texts.

        :raises ModelError: if the endpoint does not answer.
        """
        parts = [list(texts[at : at + EMBEDDED_AT_ONCE]) for at in range(0, len(texts), EMBEDDED_AT_ONCE)]
        return [vector for part in parts for vector in self._embed(part, model)]

    def _embed(self, texts: list[str], model: str) -> list[list[float]]:
        body = {"model": model, "input": texts, "encoding_format": "float"}
        with self._errors(ModelErrorReason.UNREACHABLE), deadline(self.timeout):
            answer: Any = self._client().post("/embeddings", cast_to=object, body=body)
            found = sorted(answer["data"], key=lambda each: int(each["index"]))
            vectors = [[float(number) for number in each["embedding"]] for each in found]
        if len(vectors) != len(texts):
            raise ModelError(ModelErrorReason.INVALID, f"{len(vectors)} vectors for {len(texts)} texts")
        return vectors

    def _client(self) -> OpenAI:
        from openai import OpenAI

        return OpenAI(
            api_key=self.key or "none",  # it insists on one
            base_url=self.base_url,
            timeout=httpx2.Timeout(self.timeout, connect=min(CONNECT_TIMEOUT, self.timeout)),
            max_retries=0,
            http_client=httpx2.Client(transport=self.transport) if self.transport else _http_client(),
        )

    @contextmanager
    def _errors(self, lost: ModelErrorReason) -> Iterator[None]:
        """Turn what the library raises into a `ModelError`; `lost` is that of a lost connection.

        The original errors are not chained, since their texts may contain the key.
        """
        import openai

        try:
            yield
        except openai.APITimeoutError:
            raise ModelError(ModelErrorReason.TIMEOUT, f"{self.timeout:g} s") from None
        except openai.APIStatusError as error:
            detail = f"{error.status_code}: {_message(error)}"
            raise ModelError(_reason(error), self._masked(detail)) from None
        except openai.OpenAIError as error:
            raise ModelError(lost, self._masked(str(error.__cause__ or error))) from None
        except (httpx2.HTTPError, httpx2.InvalidURL, *_UNEXPECTED) as error:
            raise ModelError(ModelErrorReason.INVALID, self._masked(str(error))) from None

    def _masked(self, text: str) -> str:
        return (text.replace(self.key, "•••") if self.key else text)[:MAX_DETAIL]


class ChatStream:
    """The answer of a model: an iterator of its texts, and the tokens that it took afterwards."""

    def __init__(
        self, model: LanguageModel, chunks: Any, messages: Sequence[ChatMessage], ends_at: float
    ) -> None:
        self._model = model
        self._chunks = chunks
        self._messages = messages
        self._ends_at = ends_at
        self._usage: Usage | None = None
        self._parts: list[str] = []
        self._finish = ""
        self._texts = self._read()

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        """Return the next part of the answer.

        :raises ModelError: if the answer does not go on.
        """
        return next(self._texts)

    @property
    def usage(self) -> Usage:
        """The tokens of the question and of what has arrived of the answer."""
        if self._usage:
            return self._usage
        prompt = sum(estimate_tokens(message.content) for message in self._messages)
        return Usage(prompt, estimate_tokens("".join(self._parts)))

    def close(self) -> None:
        """End the answer before it is complete."""
        self._chunks.close()

    def _read(self) -> Iterator[str]:
        try:
            for text in _without_thoughts(self._received()):
                self._parts.append(text)
                yield text
            self._check_end()
        finally:
            self.close()

    def _received(self) -> Iterator[str]:
        while (text := self._advance()) is not None:
            if text:
                yield text

    def _advance(self) -> str | None:
        """Read the next chunk, and return its text; None at the end."""
        left = self._ends_at - time.monotonic()
        if left <= 0:
            raise ModelError(ModelErrorReason.TIMEOUT, f"{self._model.timeout:g} s")
        with self._model._errors(ModelErrorReason.INTERRUPTED), deadline(left):
            chunk = next(self._chunks, None)
            return None if chunk is None else self._take(chunk)

    def _take(self, chunk: Any) -> str:
        """Return the text of a chunk, and keep what else it tells."""
        self._usage = _usage(chunk.get("usage")) or self._usage
        if not chunk.get("choices"):
            return ""
        choice = chunk["choices"][0]
        self._finish = choice.get("finish_reason") or self._finish
        delta = choice.get("delta") or {}
        if refusal := delta.get("refusal"):
            raise ModelError(ModelErrorReason.REFUSED, self._model._masked(str(refusal)))
        return "" + (delta.get("content") or "")

    def _check_end(self) -> None:
        if self._finish == "content_filter":
            raise ModelError(ModelErrorReason.REFUSED, self._finish)
        if self._parts and not self._finish:
            raise ModelError(ModelErrorReason.INTERRUPTED, "the answer has no end")
        if not self._parts:
            why = "max_tokens left none for an answer" if self._finish == "length" else "the answer is empty"
            raise ModelError(ModelErrorReason.INVALID, why)


def _without_thoughts(texts: Iterator[str]) -> Iterator[str]:
    """Yield an answer without ``<think>…</think>`` at its beginning, where some models think aloud."""
    begun = ""
    for text in texts:
        begun += text
        lead = begun.lstrip()
        if "<think>".startswith(lead) or (lead.startswith("<think>") and "</think>" not in lead):
            continue
        if answer := lead.partition("</think>")[2] if lead.startswith("<think>") else begun:
            yield answer
        yield from texts
        return
    if begun and not begun.lstrip().startswith("<think>"):
        yield begun


def load_library() -> None:
    """Import what models need, so that the first answer does not wait for it."""
    import openai  # noqa: F401


def is_valid_key(key: str) -> bool:
    """Whether a key can stand in a header of HTTP."""
    return all("!" <= character <= "~" for character in key)


def estimate_tokens(text: str) -> int:
    """Return about how many tokens a text has: one for each Chinese character, or for four letters."""
    narrow = sum(character.isascii() for character in text)
    return len(text) - narrow + -(-narrow // 4)


def prepare() -> None:
    """Import the library and open what all models share, which the first answer would wait for otherwise."""
    import openai  # noqa: F401

    _http_client()


def _http_client() -> httpx2.Client:
    with _preparing:
        return _shared_http_client()


@cache
def _shared_http_client() -> httpx2.Client:
    """The connections of all models of the process. Proxies of the environment are not used."""
    return httpx2.Client(transport=network(max_connections=MAX_CONNECTIONS), trust_env=False)


def _usage(told: Any) -> Usage | None:
    match told:
        case {"prompt_tokens": int(prompt), "completion_tokens": int(completion)}:
            return Usage(prompt, completion)
    return None


def _reason(error: APIStatusError) -> ModelErrorReason:
    match error.status_code:
        case 401 | 403:
            return ModelErrorReason.UNAUTHORIZED
        case 402 | 429:  # 402: the balance of DeepSeek
            return ModelErrorReason.RATE_LIMITED
        case 408 | 504:
            return ModelErrorReason.TIMEOUT
        case 400 if "content_filter" in str(error.body) or "data_inspection_failed" in str(error.body):
            return ModelErrorReason.REFUSED  # of Azure and of 通义千问
        case status:
            return ModelErrorReason.UNREACHABLE if status >= 500 else ModelErrorReason.INVALID


def _message(error: APIStatusError) -> str:
    """Return what the endpoint said in the body of an error."""
    body = error.body
    message = body.get("message") if isinstance(body, dict) else None
    return str(message or error.response.reason_phrase)


def _data_url(picture: bytes) -> str:
    kinds = {b"\x89PNG": "png", b"GIF8": "gif", b"RIFF": "webp"}
    kind = kinds.get(picture[:4], "jpeg")
    return f"data:image/{kind};base64,{base64.b64encode(picture).decode()}"
