"""Many points on paper: still vectors, but not each a path of sixteen curves on a layer of its own.

Plotly writes a point as a path with ``opacity``; of 20 000 of them a browser makes a PDF slowly, and a large one. The
round end of a pen is the same dot, and a pen makes many in one stroke (`python -m benchmarks.print_points`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence

POINT = re.compile(
    r'<path class="point[^"]*" transform="translate\(([-\d.e]+),([-\d.e]+)\)" '
    r'd="M([\d.]+),0A\3,\3 0 1,1 0,-\3A\3,\3 0 0,1 \3,0Z" '
    r'style="opacity: ([\d.]+); stroke-width: ([\d.]+)px; fill: ([^;"]+); fill-opacity: 1;'
    r'(?: stroke: ([^;"]+); stroke-opacity: 1;)?"/>'
)
POINTS_PER_PATH = (
    64  # [this lab] points of one stroke: outlines of these lie below all their dots, as if none of them overlapped
)


def merge_points(svg: str) -> str:
    """The same picture: points that follow each other in one style are dots of one pen."""
    parts: list[str] = []
    run: list[tuple[str, str]] = []
    end, style = 0, ()
    for point in POINT.finditer(svg):
        x, y, *own = point.groups()
        if point.start() != end or tuple(own) != style or len(run) == POINTS_PER_PATH:
            parts += [_pen_dots(run, style), svg[end : point.start()]]
            run, style = [], tuple(own)
        run.append((x, y))
        end = point.end()
    return "".join([*parts, _pen_dots(run, style), svg[end:]])


def _pen_dots(places: Sequence[tuple[str, str]], style: Sequence[str]) -> str:
    """The outlines, then the dots within them."""
    if not places:
        return ""
    radius, opacity, outline, fill, stroke = style
    size, edge = 2 * float(radius), float(outline) if stroke else 0.0
    path = "".join(f"M{x},{y}h.01" for x, y in places)  # of no length at all, a browser would draw circles again
    pens = [(size + edge, stroke)] * (edge > 0) + [(size - edge, fill)]
    return "".join(
        f'<path d="{path}" style="fill: none; stroke: {colour}; stroke-width: {width:g}px; stroke-linecap: '
        f'round; stroke-opacity: {opacity};"/>'
        for width, colour in pens
    )
