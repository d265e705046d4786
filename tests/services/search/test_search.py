"""Tests of search tokens, queries, highlighting and the search index."""

from __future__ import annotations

import random

import pytest
from flask import Flask
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine, insert, select

from tests.cases import TEXTS as CASES
from tests.conftest import MakeApp
from tests.hostile import HOSTILE
from tests.services.messages.journal import NOON, Journal
from wechat_bot.database.transactions import transaction
from wechat_bot.models import Follower, FollowerTag, Note, Operator, Role, Tag
from wechat_bot.pseudonyms import pseudonym
from wechat_bot.services.search.index import FOLLOWERS, MESSAGES, refresh_followers
from wechat_bot.services.search.tokens import Query, fold, highlight, search_form, searchable, tokens_of

TEXTS = [
    "我要退款，单号是 13800138000",
    "退一下款",
    "ＷｅＣｈａｔ 支付失败",
    "Straße Café ﬁn",
    "零\u200b宽\u2060字\ufeff符",
    "👨\u200d👩\u200d👧 一家",
    "❤\ufe0f 喜欢",
    "𠮷野家",
    "a\tb\nc",
    "한국어 ハンカク ﾊﾝｶｸ",
    "NEAR(a b) AND OR NOT * ^ : - + ~ < > ( ) \" ' \\ %",
]


@pytest.fixture
def app(make_app: MakeApp, any_database: str) -> Flask:
    return make_app(database_url=any_database)


def found(engine: Engine, query: str) -> set[int]:
    with engine.connect() as connection:
        return set(connection.scalars(MESSAGES.matching_ids(Query.parse(query), engine.dialect.name)))


def test_every_text_is_found_by_each_of_its_parts(engine: Engine) -> None:
    texts = dict(enumerate([*TEXTS, *filter(None, HOSTILE.values())], start=1))
    with transaction(engine) as connection:
        MESSAGES.put(connection, {number: tokens_of(text) for number, text in texts.items()})
    chance = random.Random(4)
    for number, text in texts.items():
        first = chance.randrange(len(text))
        part = text[first : first + chance.choice([1, 2, 3, 8, 150])]
        query = Query.parse(part)
        assert query.matches(text)
        if query:
            assert number in found(engine, part), part


def test_two_characters_are_found_where_they_are_neighbours(engine: Engine) -> None:
    with transaction(engine) as connection:
        MESSAGES.put(connection, {number: tokens_of(text) for number, text in enumerate(TEXTS)})
    assert found(engine, "退款") == {0}
    assert found(engine, "退") == {0, 1}
    assert found(engine, "wechat 失败") == {2}
    assert found(engine, "8001") == {0}
    assert found(engine, "不在") == set()


SPELLINGS = [
    *(line for line in (CASES / "S-search.txt").read_text(encoding="utf-8").splitlines()[1:] if line),
    "Straße -> strasse",
    "STRASSE -> Straße",
    "Déjà -> déjà",
    "“好” 3–4 -> 3-4",
    "后来说 -> 後來說",
    "(010) 8888-6666 -> 01088886666",
]


@pytest.mark.parametrize(("text", "query"), [line.split(" -> ") for line in SPELLINGS])
def test_a_text_is_found_however_it_is_spelled(engine: Engine, text: str, query: str) -> None:
    with transaction(engine) as connection:
        MESSAGES.put(connection, {1: tokens_of(text), 2: tokens_of("没关系")})
    assert found(engine, query) == {1}
    assert Query.parse(query).matches(text)


@pytest.mark.parametrize(("text", "query"), [("がく", "かく"), ("ไม้", "มไ"), ("3 5", "35"), ("1.5", "15")])
def test_what_differs_in_more_than_spelling_is_not_found(text: str, query: str) -> None:
    assert not Query.parse(query).matches(text)


def test_for_more_words_than_tokens_the_texts_are_compared() -> None:
    words = "天地玄黄宇宙洪荒日月盈昃辰宿列张寒来暑往秋收冬藏闰"
    assert len(words) == 25
    query = Query.parse(" ".join(words))
    assert not query.exact
    assert Query.parse(" ".join(words[:24])).exact
    text = "".join(word for word in words if tokens_of(word) <= query.tokens)
    assert query.tokens <= tokens_of(text)
    assert not query.matches(text), "a word is missing"


def test_a_match_is_marked_with_its_accents() -> None:
    pieces = highlight("du Déja\u0300 vu", Query.parse("deja"), None)
    assert pieces == [("du ", False), ("Déja\u0300", True), (" vu", False)]


def test_anything_is_a_query(engine: Engine) -> None:
    with transaction(engine) as connection:
        MESSAGES.put(connection, {1: tokens_of("退款")})
    for text in (*HOSTILE.values(), *TEXTS):
        if Query.parse(text):
            found(engine, text)


@given(st.text(max_size=40), st.data())
def test_what_a_text_contains_its_folded_form_contains(text: str, data: st.DataObject) -> None:
    first = data.draw(st.integers(0, len(text)))
    part = text[first : data.draw(st.integers(first, len(text)))]
    query = Query.parse(part)
    assert fold(part) in fold(text)
    assert query.matches(text)
    assert query.tokens <= tokens_of(text)


@given(st.text(st.sampled_from("退款a1 \n\0\u200d\ufe0f\u0301\ud83d\udc4d\ufdfaﬁＡß𠮷👍") | st.characters()))
def test_a_text_has_the_tokens_of_its_characters_and_pairs(text: str) -> None:
    words = search_form(text).split()
    parts = [word[first : first + size] for word in words for size in (1, 2) for first in range(len(word))]
    expected = {"x" + "".join(f"{ord(char):05x}" for char in part) for part in parts}
    for _ in range(2):  # computed, then remembered
        assert tokens_of(text) == expected
    long = text + " " * 1000
    assert tokens_of(long) == expected


@given(st.text(max_size=60), st.text(max_size=5), st.integers(0, 10))
def test_highlighted_pieces_are_a_part_of_the_text(text: str, words: str, context: int) -> None:
    pieces = [piece for piece, _ in highlight(text, Query.parse(words), context)]
    assert "".join(piece for piece in pieces if piece != "…") in text.replace("…", "")
    assert "".join(piece for piece, _ in highlight(text, Query.parse(words), None)) == text


@given(st.text("ab退款 ", max_size=30), st.text("ab退款 ", min_size=1, max_size=3))
def test_highlighted_pieces_match(text: str, words: str) -> None:
    query = Query.parse(words)
    hits = [piece for piece, hit in highlight(text, query, None) if hit]
    assert all(any(word in fold(hit) for word in query.words) for hit in hits)
    assert bool(hits) == any(word in fold(text) for word in query.words)


def test_a_match_is_shown_with_thirty_characters_on_each_side() -> None:
    text = "前" * 100 + "退款" + "后" * 100
    assert highlight(text, Query.parse("退款")) == [
        ("…", False), ("前" * 30, False), ("退款", True), ("后" * 30, False), ("…", False),
    ]  # fmt: skip


def test_no_emoji_is_cut_in_half() -> None:
    text = "👨\u200d👩\u200d👧" * 20 + "退款" + "👩🏽" * 40
    first, *_, last = [piece for piece, _ in highlight(text, Query.parse("退款")) if piece != "…"]
    assert first.startswith("👨")
    assert not last.startswith("🏽")
    assert last.endswith("🏽")


def test_words_are_separated_by_blanks_and_phrases_quoted() -> None:
    assert Query.parse('退款  "to do"').words == ("退款", "to do")
    assert Query.parse("“去 做” 退款").words == ("去 做", "退款")
    assert Query.parse('5"屏').words == ('5"屏',)
    assert not Query.parse(" \u200b \t")


def test_a_phrase_is_found_with_its_blank_only() -> None:
    query = Query.parse('"to do"')
    assert query.matches("What to do?")
    assert not query.matches("todo")
    assert not query.exact


def test_links_are_found_by_title_and_address_and_places_by_name() -> None:
    link = {"MsgType": "link", "Title": "课表", "Url": "https://example.com/a", "MsgId": "77"}
    place = {"SendLocationInfo": {"Label": "黄浦区", "Location_X": "31.2"}}
    assert searchable("课表", link) == "课表\nhttps://example.com/a"
    assert searchable("", place) == "\n黄浦区"
    assert searchable("", {"Articles": [{"Title": "一"}, {"Title": "二"}]}) == "\n一\n二"


def test_a_follower_is_found_by_alias_tag_note_scene_and_openid(engine: Engine) -> None:
    follower_id = Journal(engine).follower("oAbCd-1", alias="张老师", scene="spring-fair")
    with transaction(engine) as connection:
        account_id = connection.scalar(select(Follower.account_id))
        connection.execute(insert(Tag).values(account_id=account_id, name="会员", colour="blue"))
        connection.execute(
            insert(FollowerTag).values(follower_id=follower_id, tag_id=connection.scalar(select(Tag.id)))
        )
        connection.execute(
            insert(Operator).values(name="xw", role=Role.OPERATOR, password_hash="", created_at=NOON)
        )
        connection.execute(
            insert(Note).values(
                follower_id=follower_id,
                operator_id=connection.scalar(select(Operator.id)),
                text="喜欢蓝色",
                created_at=NOON,
            )
        )
        refresh_followers(connection, {follower_id})
    for words in ("张老师", "会员", "蓝色", "SPRING", "oabcd-1"):
        assert followers(engine, words) == {follower_id}, words


@pytest.mark.parametrize("words", ["北斗", "北斗·卫星", "北斗卫星", "卫星 北斗"])
def test_a_follower_without_an_alias_is_found_by_the_pseudonym(engine: Engine, words: str) -> None:
    journal = Journal(engine)
    follower_id, named = journal.follower("oFollower1"), journal.follower("oNamed", alias="张老师")
    with transaction(engine) as connection:
        refresh_followers(connection, {follower_id, named})
    assert followers(engine, words) == {follower_id}
    assert followers(engine, pseudonym("oNamed")) == set()


def test_a_follower_is_not_found_by_what_was_changed(engine: Engine) -> None:
    follower_id = Journal(engine).follower("o1", alias="旧名")
    with transaction(engine) as connection:
        refresh_followers(connection, {follower_id})
        connection.execute(Follower.__table__.update().values(alias="新名"))  # type: ignore[attr-defined]
        refresh_followers(connection, {follower_id})
    assert followers(engine, "旧名") == set()
    assert followers(engine, "新名") == {follower_id}


def followers(engine: Engine, words: str) -> set[int]:
    with engine.connect() as connection:
        return set(connection.scalars(FOLLOWERS.matching_ids(Query.parse(words), engine.dialect.name)))
