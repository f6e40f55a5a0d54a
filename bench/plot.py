"""Cost against sessions, as an SVG. Both axes are logarithmic: linear growth is a straight line."""

import math
from typing import Final

from bench.measuring import Numbers
from bench.polling import SIZES

LINES: Final = {
    "panoramisk awaited": "#b04a2f",
    "panoramisk pipelined": "#c98a1b",
    "exporter": "#1f6f8b",
    "floor": "#6b7280",
}
_LEFT, _TOP, _WIDTH, _HEIGHT = 70, 40, 520, 320
_LEAST, _MOST = 0.1, 1000.0


def cost_against_sessions(numbers: Numbers) -> str:
    """CPU of one poll, milliseconds; answers written by message, as Asterisk does."""
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_LEFT + _WIDTH + 170} '
        f'{_TOP + _HEIGHT + 60}" font-family="sans-serif" font-size="13">',
        "<title>CPU of one poll against sessions</title>",
        '<rect width="100%" height="100%" fill="#ffffff"/>',
        f'<text x="{_LEFT}" y="22" font-size="15">CPU of one poll, milliseconds</text>',
    ]
    for power in range(-1, 4):
        y = _y(10.0**power)
        parts.append(f'<path d="M{_LEFT} {y:.1f}h{_WIDTH}" stroke="#d9dce1"/>')
        parts.append(
            f'<text x="{_LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{10.0**power:g}</text>'
        )
    for size in SIZES:
        parts.append(
            f'<text x="{_x(size):.1f}" y="{_TOP + _HEIGHT + 20}" text-anchor="middle">'
            f"{size:,}</text>"
        )
    middle = _LEFT + _WIDTH / 2
    parts.append(f'<text x="{middle}" y="{_TOP + _HEIGHT + 44}">sessions</text>')
    for name, colour in LINES.items():
        points = [
            (_x(size), _y(numbers[f"{size} sessions, written by message: {name}"]["cpu_ms"]))
            for size in SIZES
        ]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        parts.append(
            f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2.5"/>'
        )
        parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{colour}"/>' for x, y in points]
        x, y = points[-1]
        parts.append(f'<text x="{x + 10:.1f}" y="{y + 4:.1f}" fill="{colour}">{name}</text>')
    return "\n".join([*parts, "</svg>", ""])


def _x(sessions: int) -> float:
    first, last = math.log10(SIZES[0]), math.log10(SIZES[-1])
    return _LEFT + _WIDTH * (math.log10(sessions) - first) / (last - first)


def _y(milliseconds: float) -> float:
    least, most = math.log10(_LEAST), math.log10(_MOST)
    return _TOP + _HEIGHT * (1 - (math.log10(milliseconds) - least) / (most - least))
