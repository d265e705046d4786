"""Draws lines over a logarithmic axis as SVG, which Markdown shows. The table beside it has the figures."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape

from .tools import HERE

IMAGES = HERE / "images"
WIDTH, HEIGHT = 720, 360
LEFT, RIGHT, TOP, BOTTOM = 50, 300, 40, 40
COLORS = ("#1a7f37", "#0969da", "#9a6700", "#cf222e", "#8250df", "#57606a")

Line = Sequence[tuple[int, float]]
"""Points of a line: a size and a value."""


def save(name: str, title: str, lines: Mapping[str, Line]) -> str:
    """Save a chart as ``images/<name>.svg``, and return the Markdown that shows it."""
    IMAGES.mkdir(exist_ok=True)
    (IMAGES / f"{name}.svg").write_text(svg(title, lines), encoding="utf-8")
    return f"![{title}](images/{name}.svg)\n"


def svg(title: str, lines: Mapping[str, Line]) -> str:
    sizes = sorted({size for line in lines.values() for size, _ in line})
    top = _round_up(max(value for line in lines.values() for _, value in line))
    low, high = math.log(sizes[0]), math.log(sizes[-1])

    def place(size: int, value: float) -> tuple[float, float]:
        x = LEFT + (math.log(size) - low) / (high - low) * (WIDTH - LEFT - RIGHT)
        return x, HEIGHT - BOTTOM - value / top * (HEIGHT - TOP - BOTTOM)

    parts = [_text(LEFT, 20, title, "font-weight='bold'")]
    for step in range(5):
        value = top * step / 4
        x, y = place(sizes[0], value)
        parts.append(f"<line x1='{x}' y1='{y:.0f}' x2='{WIDTH - RIGHT}' y2='{y:.0f}' stroke='#d0d7de'/>")
        parts.append(_text(x - 6, y + 4, f"{value:g}", "text-anchor='end'"))
    for size in sizes:
        parts.append(_text(place(size, 0)[0], HEIGHT - BOTTOM + 20, f"{size:,}", "text-anchor='middle'"))
    ends = _apart([place(*line[-1])[1] for line in lines.values()])
    for (name, line), color, end in zip(lines.items(), COLORS, ends, strict=False):
        points = " ".join("{:.1f},{:.1f}".format(*place(*point)) for point in line)
        parts.append(f"<polyline points='{points}' fill='none' stroke='{color}' stroke-width='2'/>")
        parts.append(_text(WIDTH - RIGHT + 12, end + 4, f"{name}: {line[-1][1]:.0f}", f"fill='{color}'"))
    head = f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {WIDTH} {HEIGHT}' role='img'"
    style = f" font-family='sans-serif' font-size='12'><title>{escape(title)}</title>"
    background = f"<rect width='{WIDTH}' height='{HEIGHT}' fill='#ffffff'/>"
    return "\n".join([head + style, background, *parts, "</svg>\n"])


def _round_up(value: float) -> float:
    """Return the next number that begins with 1, 2, 4 or 8, which is easy to divide by four."""
    magnitude = 10.0 ** math.floor(math.log10(value))
    return next(step * magnitude for step in (1, 2, 4, 8, 10) if step * magnitude >= value)


def _apart(places: Sequence[float], distance: float = 16) -> list[float]:
    """Move labels down so far that none covers another, and return their places in the same order."""
    moved: dict[int, float] = {}
    last = -math.inf
    for index in sorted(range(len(places)), key=places.__getitem__):
        moved[index] = last = max(places[index], last + distance)
    return [moved[index] for index in range(len(places))]


def _text(x: float, y: float, words: str, attributes: str) -> str:
    return f"<text x='{x:.0f}' y='{y:.0f}' {attributes}>{escape(words)}</text>"
