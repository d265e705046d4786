"""The language of a page: chosen, remembered, or the browser's."""

from __future__ import annotations

import pytest
from flask import Flask


@pytest.mark.parametrize(
    ("query", "accepted", "language"),
    [
        ("", None, "zh"),
        ("", "zh-CN,zh;q=0.9,en;q=0.8", "zh"),
        ("", "en-US,en;q=0.9", "en"),
        ("", "de-DE,en;q=0.5", "en"),
        ("", "de", "zh"),
        ("?lang=en", "zh-CN", "en"),
        ("?lang=zh", "en-US", "zh"),
        ("?lang=xx", "en-US", "en"),
    ],
)
def test_the_query_wins_over_the_browser(app: Flask, query: str, accepted: str | None, language: str) -> None:
    headers = {"Accept-Language": accepted} if accepted else {}
    answer = app.test_client().get(f"/demo/{query}", headers=headers)
    assert f'<html lang="{language}">' in answer.text
    assert {"Accept-Language", "Cookie"} <= set(answer.vary)


def test_a_choice_is_remembered_and_nothing_else(app: Flask) -> None:
    client = app.test_client()
    assert "Set-Cookie" not in client.get("/demo/", headers={"Accept-Language": "en"}).headers
    cookie = client.get("/demo/?lang=en").headers["Set-Cookie"]
    assert cookie.startswith("language=en;")
    assert '<html lang="en">' in client.get("/demo/").text
    assert '<html lang="en">' in client.get("/nowhere").text


def test_the_switch_keeps_the_rest_of_the_query(app: Flask) -> None:
    page = app.test_client().get("/demo/lessons/variables?example=1&username=li").text
    assert 'href="?example=1&amp;username=li&amp;lang=en"' in page
