"""Made-up names for followers, since the platform tells none.

A name is two short Chinese words, such as 青柠·麻雀. It depends on the openid alone, so that it stays
the same and needs no column. Several followers of a large account share one.

``pseudonyms.txt`` has 256 first words, an empty line, and 256 second words, which are polite in every pair.
A word that moves or changes renames followers.
"""

from hashlib import sha256
from importlib import resources

SEPARATOR = "·"
_LISTS = resources.files(__package__).joinpath("pseudonyms.txt").read_text(encoding="utf-8").split("\n\n")
FIRST_WORDS, SECOND_WORDS = (words.split() for words in _LISTS)


def pseudonym(openid: str) -> str:
    """Return the made-up name of the follower with this openid."""
    first, second = sha256(openid.encode()).digest()[-2:]
    return FIRST_WORDS[first] + SEPARATOR + SECOND_WORDS[second]
