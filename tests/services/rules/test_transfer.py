"""Rules in files."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.routing.test_definitions import ANSWERS, RULE
from tests.routing.test_rules import rules
from wechat_bot.routing.definitions import Rule
from wechat_bot.services.rules import transfer
from wechat_bot.services.rules.transfer import FileProblem, InvalidFile, TransferFormat, dump, parse
from wechat_bot.simulator.sample_files import PNG

FORMS = pytest.mark.parametrize("form", list(TransferFormat))


def errors(text: str, form: TransferFormat) -> list[str]:
    with pytest.raises(InvalidFile) as caught:
        parse(text.encode(), form)
    return [str(error) for error in caught.value.errors]


@FORMS
def test_every_kind_of_answer_is_read_as_it_was_written(form: TransferFormat) -> None:
    written = [Rule.from_json({**RULE, "answers": [answer]}) for answer in ANSWERS]
    assert parse(dump(written, form).encode(), form) == written


@given(st.lists(rules(), max_size=4), st.sampled_from(TransferFormat))
def test_all_rules_are_read_as_they_were_written(written: list[Rule], form: TransferFormat) -> None:
    assert parse(("\ufeff" + dump(written, form)).encode(), form) == written


@FORMS
@pytest.mark.parametrize("text", ["=1+1", "'=1", "@a", "yes", "1", "2026-01-01", "a\nb", ' "x", ', "茶"])
def test_texts_that_programs_misread_stay_what_they_are(text: str, form: TransferFormat) -> None:
    answers = [{"kind": "text", "text": text}]
    patterns = [{"match": "whole", "text": text}]
    written = [Rule.from_json({**RULE, "name": text, "answers": answers, "patterns": patterns})]
    assert parse(dump(written, form).encode(), form) == written


def test_no_cell_is_a_formula() -> None:
    written = [Rule.from_json({**RULE, "name": "=HYPERLINK(1)", "answers": [{"kind": "text", "text": "-1"}]})]
    cells = [cell for line in csv.reader(io.StringIO(dump(written, TransferFormat.CSV))) for cell in line]
    assert not any(cell.startswith(("=", "-", "+", "@")) for cell in cells)


def test_a_list_of_questions_is_imported_from_a_spreadsheet() -> None:
    text = 'name,enabled,match,keywords,answer,more\r\n营业时间,,,"几点开门\r\n营业时间",九点,\r\n'
    [rule] = parse(text.encode(), TransferFormat.CSV)
    assert rule.to_json() == {
        "name": "营业时间",
        "trigger": {"type": "text"},
        "patterns": [{"match": "contains", "text": "几点开门"}, {"match": "contains", "text": "营业时间"}],
        "answers": [{"kind": "text", "text": "九点"}],
    }


def test_every_error_in_yaml_has_its_line() -> None:
    text = """rules:
  - name: 茶
    trigger: {type: text}
    patterns:
      - {match: whole, text: 茶}
      - match: whole
        text: 5
    answers:
      - kind: text
        text: ""
  - name: 酒
"""
    assert errors(text, TransferFormat.YAML) == [
        "line 10: answers[0].text is blank",
        "line 7: patterns[1].text is not text",
        "line 11: trigger is missing",
        "line 11: answers is missing",
    ]


def test_every_error_in_csv_has_its_line() -> None:
    lines = [
        "name,enabled,match,keywords,answer,more",
        "茶,maybe,whole,茶,好,",
        '酒,yes,whole,"a\nb",,',
        "水,,,水,好,{}",
    ]
    text = "\n".join(lines)
    assert errors(text, TransferFormat.CSV) == [
        "line 2: enabled is not true or false",
        "line 3: answers is missing",
    ]


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("", "line 1: the file is empty"),
        ("- 茶", "line 1: there is no list with the name rules"),
        ("rules:\n- {name: [}", "line 2: it is no YAML"),
        ("rules:\n\t- name: 茶", "line 2: a tab indents it"),
        ("rules:\n- &a [*a]", "line 2: an alias (*) cannot be used here"),
        ("a: &a [1]\nrules:\n- *a", "line 1: an alias (*) cannot be used here"),
        ("rules:\n- !!python/name:os.system x", "line 2: is not an object"),
        ("rules: " + "[" * 5000, "line 1: it is no YAML"),
    ],
)
def test_what_is_no_list_of_rules_is_refused(text: str, error: str) -> None:
    assert errors(text, TransferFormat.YAML) == [error]


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("\n", "line 1: the file is empty"),
        ("a,b\n", "line 1: the first line has other columns"),
        ("name,enabled,match,keywords,answer,more\n茶,,,,,[]", "line 2: more is not a JSON object"),
        ('name,enabled,match,keywords,answer,more\n"茶"x,', "line 2: it is no CSV"),
        ('name,enabled,match,keywords,answer,more\n"茶', "line 2: a quotation mark is missing"),
    ],
)
def test_what_is_no_table_of_rules_is_refused(text: str, error: str) -> None:
    assert errors(text, TransferFormat.CSV) == [error]


@FORMS
def test_a_file_that_is_too_large_is_refused(form: TransferFormat) -> None:
    text = "x" * (transfer.MAX_BYTES + 1)
    assert errors(text, form) == ["line 1: the file has too many bytes"]


@FORMS
@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"PK\x03\x04...", FileProblem.SPREADSHEET),
        (b"\xd0\xcf\x11\xe0...", FileProblem.SPREADSHEET),
        (PNG, FileProblem.NO_TEXT),
        (b"rules:\0", FileProblem.NO_TEXT),
        (b"\xff\xfe", FileProblem.EMPTY),
    ],
)
def test_what_is_no_text_is_refused(content: bytes, problem: FileProblem, form: TransferFormat) -> None:
    with pytest.raises(InvalidFile) as caught:
        parse(content, form)
    assert [(error.line, error.problem) for error in caught.value.errors] == [(1, problem)]


def test_the_line_of_bytes_that_are_no_text_is_named() -> None:
    with pytest.raises(InvalidFile) as caught:
        parse("rules:\n- name: 茶".encode() + b"\xff\n", TransferFormat.YAML)
    assert [str(error) for error in caught.value.errors] == ["line 2: it has bytes that are no UTF-8"]


@FORMS
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "gb18030"])
def test_a_file_is_read_in_the_encodings_of_spreadsheets(form: TransferFormat, encoding: str) -> None:
    written = [Rule.from_json({**RULE, "name": "营业时间"})]
    assert parse(dump(written, form).encode(encoding), form) == written
