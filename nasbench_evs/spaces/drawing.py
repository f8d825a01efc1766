"""An architecture as parts in words, and drawn: an SVG of text alone, for notebooks and pages.

What the parts are belongs to the space (`SearchSpace.parts`); here they get words and a picture.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import NamedTuple

# Fill and edge: light enough for dark text, and Okabe and Ito's hues, which color-blind people tell apart.
_TINTS = {
    "plain": ("#F4F4F4", "#8A8A8A"),
    "blue": ("#D6EAF8", "#0072B2"),
    "green": ("#D5F0E5", "#009E73"),
    "orange": ("#FCE8C4", "#B87400"),
    "purple": ("#F5E1EC", "#B0578A"),
}
_LETTER = 7.4  # width of a letter at _SIZE, at most: fonts differ
_SIZE, _HEIGHT, _GAP, _BETWEEN, _PAD = 13, 26, 14, 10, 14
_LEAST, _WIDEST = 60, 320  # width of a box


class Block(NamedTuple):
    """A box of a drawing: what stands in it; absent: drawn pale; `share` 0 to 1: its width where widths mean something."""

    words: str
    tint: str = "plain"
    absent: bool = False
    share: float | None = None


class Part(NamedTuple):
    """A part of an architecture: blocks one after the other, or (`parallel`) side by side."""

    name: str
    blocks: tuple[Block, ...]
    parallel: bool = False

    @property
    def words(self) -> str:
        """The blocks as a phrase: `attention with 2 heads and GRU, side by side`."""
        words = [block.words for block in self.blocks]
        if not self.parallel:
            return ", then ".join(words)
        return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}, side by side"


def draw(parts: Sequence[Part], title: str) -> str:
    """The parts from top to bottom as an SVG, which carries its light background: legible on a dark page too.

    Screen readers find `title` and the parts in words. Any text may stand in parts and title.
    """
    label = max(_width(part.name) for part in parts)
    rows = [[_box(block) for block in part.blocks] for part in parts]
    room = max(_room(part, row) for part, row in zip(parts, rows, strict=True))
    left, middle = 2 * _PAD + label, 2 * _PAD + label + room / 2
    body: list[str] = []
    y = float(_PAD)
    for number, (part, row) in enumerate(zip(parts, rows, strict=True)):
        if number:
            body.append(_arrow(middle, y, _GAP))
            y += _GAP
        top = y
        if part.parallel and len(row) > 1:
            x = middle - _room(part, row) / 2
            body.append(_frame(x, y, _room(part, row)))
            for block, width in zip(part.blocks, row, strict=True):
                body.append(_drawn(block, x + _BETWEEN / 2, y + _BETWEEN / 2, width))
                x += width + _BETWEEN
            y += _HEIGHT + _BETWEEN
        else:
            for i, (block, width) in enumerate(zip(part.blocks, row, strict=True)):
                if i:
                    body.append(_arrow(middle, y, _GAP))
                    y += _GAP
                body.append(_drawn(block, middle - width / 2, y, width))
                y += _HEIGHT
        body.append(_text(part.name, left - _PAD, (top + y) / 2, "end", "#555555"))
    width, height = round(left + room + _PAD), round(y + _PAD)
    words = "; ".join(f"{part.name}: {part.words}" for part in parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" style="max-width: 100%; height: auto" font-family="sans-serif" font-size="{_SIZE}">'
        f"<title>{_escaped(title)}</title><desc>{_escaped(words)}</desc>"
        f'<rect width="{width}" height="{height}" rx="6" fill="#FFFFFF"/>{"".join(body)}</svg>'
    )


def _escaped(text: str) -> str:
    """Without what XML cannot hold."""
    return escape("".join(each if each.isprintable() else " " for each in text))


def _width(text: str) -> float:
    return len(text) * _LETTER


def _box(block: Block) -> float:
    least = max(_LEAST, _width(block.words) + 2 * _PAD)
    return least if block.share is None else max(least, block.share * _WIDEST)


def _room(part: Part, row: Sequence[float]) -> float:
    return sum(row) + _BETWEEN * len(row) if part.parallel else max(row)


def _drawn(block: Block, x: float, y: float, width: float) -> str:
    fill, edge = _TINTS[block.tint]
    color = "#111111"
    dashes = ""
    if block.absent:
        fill, edge, color, dashes = "#FFFFFF", "#8A8A8A", "#666666", ' stroke-dasharray="4 3"'
    return (
        f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{_HEIGHT}" rx="4" fill="{fill}" stroke="{edge}"{dashes}/>'
        + _text(block.words, x + width / 2, y + _HEIGHT / 2, "middle", color)
    )


def _frame(x: float, y: float, width: float) -> str:
    """Around blocks side by side: what stands before them goes to all of them."""
    return f'<path d="M{x:.1f} {y:.1f}h{width:.1f}v{_HEIGHT + _BETWEEN}h-{width:.1f}z" fill="none" stroke="#BBBBBB"/>'


def _text(words: str, x: float, y: float, anchor: str, color: str) -> str:
    # A third of the letters' height below the middle: not every viewer knows dominant-baseline.
    return (
        f'<text x="{x:.1f}" y="{y + _SIZE * 0.35:.1f}" text-anchor="{anchor}" fill="{color}">{_escaped(words)}</text>'
    )


def _arrow(x: float, y: float, length: float) -> str:
    return (
        f'<path d="M{x:.1f} {y + 1:.1f}v{length - 5:.1f}" stroke="#777777" fill="none"/>'
        f'<path d="M{x - 3.5:.1f} {y + length - 5:.1f}h7l-3.5 4.5z" fill="#777777"/>'
    )
