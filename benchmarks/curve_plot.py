"""Curves and measured points as an SVG picture, without a plotting library."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape

Points = list[tuple[float, float]]

WIDTH, HEIGHT, MARGIN = 640, 400, 56
# Told apart by those who see few colours as well (Okabe and Ito 2008).
COLOURS = ("#0072b2", "#d55e00", "#009e73")
MARKS = ("circle", "cross")


@dataclass(frozen=True)
class Curve:
    """A line, and measured points beside it, each set under a name of its own."""

    name: str
    line: Points
    measured: list[tuple[str, Points]]


def plot(curves: list[Curve], across: str, upward: str) -> str:
    """An SVG picture of curves over the range of their lines; values upward are from 0 to 1."""
    low = min(x for curve in curves for x, _ in curve.line)
    high = max(x for curve in curves for x, _ in curve.line)

    def place(x: float, y: float) -> tuple[float, float]:
        width, height = WIDTH - 2 * MARGIN, HEIGHT - 2 * MARGIN
        return round(MARGIN + (x - low) / (high - low) * width, 1), round(HEIGHT - MARGIN - y * height, 1)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}"',
        ' font-family="sans-serif" font-size="12">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
    ]
    for tenth in range(11):
        x, y = low + (high - low) * tenth / 10, tenth / 10
        (left, bottom), (right, top) = place(low, y), place(high, y)
        parts.append(f'<path d="M{left} {bottom}L{right} {top}" stroke="#ddd"/>')
        parts.append(f'<text x="{left - 6}" y="{bottom + 4}" text-anchor="end">{y:.1f}</text>')
        at, base = place(x, 0)
        parts.append(f'<text x="{at}" y="{base + 18}" text-anchor="middle">{x:.2f}</text>')
    for index, curve in enumerate(curves):
        colour = COLOURS[index % len(COLOURS)]
        line = "L".join(f"{x} {y}" for x, y in (place(*point) for point in curve.line))
        parts.append(f'<path d="M{line}" fill="none" stroke="{colour}" stroke-width="1.5"/>')
        for mark, (_, points) in zip(MARKS, curve.measured, strict=False):
            parts += [_mark(mark, *place(*point), colour) for point in points]
        parts.append(
            f'<text x="{MARGIN + 12}" y="{MARGIN + 16 + 18 * index}" fill="{colour}">{escape(curve.name)}</text>'
        )
    key = ", ".join(f"{mark}: {name}" for mark, (name, _) in zip(MARKS, curves[0].measured, strict=False))
    parts.append(f'<text x="{MARGIN}" y="{MARGIN - 16}">lines: theory; {escape(key)}</text>')
    parts.append(f'<text x="{WIDTH / 2}" y="{HEIGHT - 10}" text-anchor="middle">{escape(across)}</text>')
    turn = f"rotate(-90 14 {HEIGHT / 2})"
    parts.append(f'<text x="14" y="{HEIGHT / 2}" text-anchor="middle" transform="{turn}">{escape(upward)}</text>')
    return "\n".join([*parts, "</svg>", ""])


def _mark(kind: str, x: float, y: float, colour: str) -> str:
    if kind == "circle":
        return f'<circle cx="{x}" cy="{y}" r="3.5" fill="none" stroke="{colour}"/>'
    return f'<path d="M{x - 3} {y - 3}L{x + 3} {y + 3}M{x - 3} {y + 3}L{x + 3} {y - 3}" stroke="{colour}"/>'
