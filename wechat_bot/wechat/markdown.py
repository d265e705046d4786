"""Markdown, which language models write, as a text that the chat shows.

What the chat shows is in ``wechat-platform.md``, sections 5.6 and 10.9.
"""

from __future__ import annotations

import re

from markdown_it import MarkdownIt
from markdown_it.tree import SyntaxTreeNode

_PARSER = MarkdownIt("js-default")  # HTML is text
_ANCHOR = re.compile(
    r"""<a\s[^<>]*?href=["'](https?://[^"'\s<>()]+)["'][^<>]*>([^<>\[\]\n]{1,200})</a>""", re.IGNORECASE
)
"""A link as the platform writes it, which passages have, and models copy."""
_LESS_THAN = "\ue000"
"""Stands for "<" in what is no link of ours, until all links are known."""
_TAG_OF_LINK = re.compile(rf"{_LESS_THAN}(?=\s*/?\s*a\b)", re.IGNORECASE)
_MANY_LINES = re.compile(r"\n{3,}")


def to_chat(markdown: str) -> str:
    """Return `markdown` as plain text with links.

    Links go to addresses of HTTP and HTTPS only. All other tags of links are made harmless, as they could
    make followers send what they never wrote.
    """
    source = _ANCHOR.sub(r"[\2](\1)", markdown.replace(_LESS_THAN, ""))
    text = _blocks(SyntaxTreeNode(_PARSER.parse(source)))
    text = _TAG_OF_LINK.sub("＜", text).replace(_LESS_THAN, "<")
    return _MANY_LINES.sub("\n\n", text).strip()


def _blocks(node: SyntaxTreeNode, between: str = "\n\n") -> str:
    """Return the blocks in `node`, of which a heading is directly above what follows it."""
    text = ""
    for child in node.children:
        text += _block(child).rstrip("\n") + ("\n" if child.type == "heading" else between)
    return text.rstrip("\n")


def _block(node: SyntaxTreeNode) -> str:
    match node.type:
        case "bullet_list" | "ordered_list":
            return "\n".join(_items(node))
        case "table":
            return "\n".join(_rows(node))
        case "blockquote":
            return _indented(_blocks(node), "> ", "> ")
        case "hr":
            return "———"
        case "fence" | "code_block":
            return _plain(node.content)
        case "inline":
            return _inline(node)
        case _:
            return _blocks(node)


def _items(node: SyntaxTreeNode) -> list[str]:
    first = int(node.attrs.get("start", 1))
    is_ordered = node.type == "ordered_list"
    marks = (f"{number}. " if is_ordered else "• " for number in range(first, first + len(node.children)))
    return [
        _indented(_blocks(item, "\n"), mark, "  ") for mark, item in zip(marks, node.children, strict=True)
    ]


def _indented(text: str, first: str, others: str) -> str:
    return first + text.replace("\n", f"\n{others}")


def _rows(table: SyntaxTreeNode) -> list[str]:
    """Return a table as one line for each row, since a phone is too narrow for columns."""
    head, *rows = (
        [_blocks(cell) for cell in row.children] for part in table.children for row in part.children
    )
    cells = ([f"{name}：{cell}" for name, cell in zip(head, row, strict=False) if cell] for row in rows)
    return [f"• {'，'.join(row)}" for row in cells]


def _inline(node: SyntaxTreeNode) -> str:
    match node.type:
        case "text" | "code_inline" | "html_inline":
            return _plain(node.content)
        case "softbreak" | "hardbreak":
            return "\n"
        case "link":
            return _link(str(node.attrs["href"]), "".join(map(_inline, node.children)))
        case "image":
            return _link(str(node.attrs["src"]), _plain(node.content) or "图片")
        case _:
            return "".join(map(_inline, node.children))


def _link(url: str, label: str) -> str:
    if not re.match(r"https?://", url, re.IGNORECASE):
        return label
    return url if label in {"", url} else f'<a href="{url}">{label}</a>'


def _plain(text: str) -> str:
    return text.replace("<", _LESS_THAN)
