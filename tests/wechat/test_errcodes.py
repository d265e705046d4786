"""What operators read when the platform refuses something."""

from __future__ import annotations

import re

import pytest

from wechat_bot.wechat import errors
from wechat_bot.wechat.errcodes import _CATALOGUE, explain

SECTION_8 = """
-1 0 40001-40033 40035-40039 40048 40050 40051 40054 40055 40060 40066 40097 40117-40121 40125 40129 40130
40132 40137 40155 40163 40164 40200-40203 40227 40241 40243 40249 41001-41009 42001-42003 42007 42010
43001-43005 43019 43100 43101 43104 43116 44001-44005 44997 45001-45012 45015-45018 45026-45029 45035 45047
45056-45062 45064-45067 45072 45080 45081 45083 45084 45086 45113 45157-45159 45166 45169 45171 46001-46004
47001 47003 48001-48006 48008 48021 48022 49003 50001 50002 50004 50005 50007 53503-53505 53600 61003 61004
61007 61023 61450-61457 61500 61501 61503 63001 63002 65301-65314 65316 65317 65320 65400-65417 70000
76001-76004 76021 76022 87009 88000-88005 88007 88008 88010 89501 89503-89507 200011-200022 268487001
268487002 268488001 9001001-9001010 9410010-9410012 10003-10006 10009-10013 10015 10016
"""


def listed() -> set[int]:
    codes: set[int] = set()
    for first, last in re.findall(r"(-?\d+)(?:-(\d+))?", SECTION_8):
        codes.update(range(int(first), int(last or first) + 1))
    return codes


def test_every_code_of_the_reference_is_explained() -> None:
    assert listed() - _CATALOGUE.keys() == set()


@pytest.mark.parametrize("code", _CATALOGUE)
def test_each_is_explained_in_chinese_and_english(code: int) -> None:
    explanation = explain(code)
    for words in (explanation.meaning, explanation.remedy):
        assert re.search("[一-鿿]", words.zh)
        assert words.en.isprintable()
        assert not re.search("[一-鿿]", words.en)
    assert explanation.remedy.zh.endswith("。")
    assert explanation.remedy.en.endswith(".")


@pytest.mark.parametrize("code", sorted(errors._BY_ERRCODE))
def test_every_code_with_a_class_of_its_own_is_explained(code: int) -> None:
    assert code in _CATALOGUE


@pytest.mark.parametrize(
    ("errmsg", "address"),
    [
        ("invalid ip 203.0.113.9 ipv6 ::ffff:203.0.113.9, not in whitelist rid: 6172-1", "203.0.113.9"),
        ("invalid ip ::ffff:203.0.113.9, not in whitelist", "203.0.113.9"),
        ("invalid ip 2001:db8::7, not in whitelist", "2001:db8::7"),
        ("invalid ip 203.0.113.9.", "203.0.113.9"),
    ],
)
def test_an_operator_is_told_which_address_to_enter(errmsg: str, address: str) -> None:
    remedy = explain(40164, errmsg).remedy
    assert f" {address}。" in remedy.zh
    assert f" {address} " in remedy.en


def test_without_an_address_the_remedy_still_says_what_to_do() -> None:
    for errmsg in ("", "invalid ip <script>, not in whitelist", "rid: 61725984-6126f6f9-040f19c4"):
        assert explain(40164, errmsg) == explain(40164)
    assert "IP 白名单" in explain(40164).remedy.zh


def test_an_unknown_code_is_said_to_be_unknown() -> None:
    explanation = explain(12345678)
    assert explanation.meaning.zh == "本程序不认识的错误码 12345678"
    assert explanation.meaning.en == "Error code 12345678, which this program does not know"
    assert "rid" in explanation.remedy.zh


def test_the_tree_of_errors_is_drawn_as_it_is() -> None:
    drawn = set(re.findall(r"── (\w+)", errors.__doc__ or "")) | {"WeChatError"}
    made = {
        kind.__name__
        for kind in vars(errors).values()
        if isinstance(kind, type) and issubclass(kind, errors.WeChatError)
    }
    assert drawn == made
    for kind, codes in errors._ERRCODES.items():
        line = re.search(rf"── {kind.__name__} +(.*?):", errors.__doc__ or "")
        assert line
        assert {int(code) for code in re.findall(r"-?\d+", line[1])} <= set(codes)
