"""Replaces numbers that identify people before a text leaves for a language model, and puts them back."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Final

_SEPARATOR: Final = r"[ \-]?"
_ID_CARD = re.compile(r"(?<!\d)\d{17}[\dXx](?!\d)")
_BANK_CARD = re.compile(rf"(?<!\d)\d(?:{_SEPARATOR}\d){{12,18}}(?!\d)")
_PHONE = re.compile(
    rf"(?<!\d)(?:(?:\+|00)?[8８][6６]{_SEPARATOR})?[1１][3-9３-９]\d{_SEPARATOR}\d{{4}}{_SEPARATOR}\d{{4}}(?!\d)"
    rf"|(?<!\d)[0０]\d{{2,3}}{_SEPARATOR}\d{{7,8}}(?!\d)"
)
_PLACEHOLDER = re.compile(r"\[(?:手机号|身份证号|银行卡号)(\d+)\]")


def is_id_card(number: str) -> bool:
    """Whether the last character of an ID card number is its check digit (GB 11643)."""
    weighted = sum(int(digit) * pow(2, 17 - place, 11) for place, digit in enumerate(number[:17]))
    return "10X98765432"[weighted % 11] == _ascii(number[17])


def is_bank_card(number: str) -> bool:
    """Whether the digits of a card number have the checksum of Luhn."""
    digits = [int(character) for character in number if character.isdigit()]
    doubled = (sum(divmod(2 * digit, 10)) for digit in digits[-2::-2])
    return (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0


def _ascii(character: str) -> str:
    """Return a digit of any script as ASCII, and a letter as a capital."""
    return str(int(character)) if character.isdigit() else character.upper()


def without_numbers(text: str) -> str:
    """Return `text` without the numbers that identify people."""
    return _PLACEHOLDER.sub("", Mask([text]).hide(text))


class Mask:
    """Replaces telephone, ID card and bank card numbers by placeholders: the same number by the same one.

    `texts` are all texts that will be masked, so that no placeholder is one that occurs in them.
    """

    def __init__(self, texts: Iterable[str]) -> None:
        used = [int(number) for text in texts for number in _PLACEHOLDER.findall(text)]
        self._next = max(used, default=0) + 1
        self._placeholders: dict[str, str] = {}

    def hide(self, text: str) -> str:
        """Return `text` with placeholders."""
        text = self._replace(_ID_CARD, is_id_card, "身份证号", text)
        text = self._replace(_BANK_CARD, is_bank_card, "银行卡号", text)
        return self._replace(_PHONE, lambda _: True, "手机号", text)

    def reveal(self, text: str) -> str:
        """Return `text` with the numbers that were hidden before."""
        numbers = {placeholder: number for number, placeholder in self._placeholders.items()}
        return _PLACEHOLDER.sub(lambda found: numbers.get(found[0], found[0]), text)

    def _replace(self, pattern: re.Pattern[str], is_one: Callable[[str], bool], name: str, text: str) -> str:
        return pattern.sub(
            lambda found: self._placeholder(found[0], name) if is_one(found[0]) else found[0], text
        )

    def _placeholder(self, number: str, name: str) -> str:
        if number not in self._placeholders:
            self._placeholders[number] = f"[{name}{self._next}]"
            self._next += 1
        return self._placeholders[number]
