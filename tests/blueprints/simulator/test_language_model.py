"""The stand-in for a language model, as the bot reaches it: over HTTP."""

from __future__ import annotations

import pytest

from tests.blueprints.simulator.conftest import MakeSimulator, Simulator
from tests.conftest import MakeApp
from wechat_bot.llm import ChatMessage, LanguageModel, ModelError, ModelErrorReason
from wechat_bot.settings import Switch

QUESTION = [ChatMessage("user", "你好")]


def model_of(simulator: Simulator, name: str = "stand-in") -> LanguageModel:
    return LanguageModel(f"{simulator.client.base_url}/simulator/model/v1", "", name)


def test_it_streams_an_answer(simulator: Simulator) -> None:
    stream = model_of(simulator).stream(QUESTION, max_tokens=99)
    assert "".join(stream) == "你问的是：你好"
    assert stream.usage.prompt_tokens == 2


def test_it_fails_on_demand(simulator: Simulator) -> None:
    with pytest.raises(ModelError) as caught:
        model_of(simulator, "stand-in-429").stream(QUESTION, max_tokens=99)
    assert caught.value.reason is ModelErrorReason.RATE_LIMITED


def test_it_makes_vectors(simulator: Simulator) -> None:
    assert len(model_of(simulator).embed(["你好"], "stand-in-embedding")) == 1


def test_it_names_its_models(simulator: Simulator) -> None:
    found = simulator.client.get("/simulator/model/v1/models").json()
    assert {"stand-in", "stand-in-slow", "stand-in-embedding"} <= {each["id"] for each in found["data"]}


@pytest.mark.parametrize(
    "body",
    [
        "",
        "[]",
        "7",
        "[" * 100_000,
        " " * (21 << 20),
        '{"model": "x"}',
        '{"model": "x", "messages": []}',
        '{"model": "x", "messages": "x"}',
        '{"model": "x", "messages": [{"role": "user", "content": [7]}]}',
        '{"model": "x", "messages": [{"role": "user", "content": "x"}], "max_tokens": "many"}',
        '{"model": "x", "messages": [{"role": "user", "content": null}]}',
    ],
)
def test_what_it_does_not_understand_is_refused(simulator: Simulator, body: str) -> None:
    headers = {"Content-Type": "application/json"}
    answer = simulator.client.post("/simulator/model/v1/chat/completions", content=body, headers=headers)
    assert answer.status_code == 400
    assert "could not parse" in answer.json()["error"]["message"]
    assert simulator.client.get("/simulator/model/v1/chat/completions").status_code == 404
    assert simulator.client.get("/simulator/model/v2/models").status_code == 404


@pytest.mark.parametrize("headers", [{"Host": "bot.example.com"}, {"X-Forwarded-For": "203.0.113.7"}])
def test_other_machines_are_refused(make_simulator: MakeSimulator, headers: dict[str, str]) -> None:
    simulator = make_simulator()
    path = "/simulator/model/v1/models"
    assert simulator.client.get(path, headers=headers).status_code == 403
    assert simulator.client.get(path).status_code == 200


def test_it_is_off_with_the_simulator(make_app: MakeApp) -> None:
    client = make_app(simulator_enabled=Switch.NO).test_client()
    assert client.get("/simulator/model/v1/models").status_code == 404
