"""Many points in print, as few vector paths.

Plotly writes each point as a path with ``opacity``. From 20 000 of them a browser makes a large PDF, and slowly. A line
of no length with a round cap gives the same dot, and one path can hold many of them (measured by
`python -m benchmarks.print_points`).
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
    64  # [this lab] the outlines of a path lie below all its dots, so overlaps in a path lose their outline
)


def merge_points(svg: str) -> str:
    """The same picture, with successive points of one style merged into one path."""
    parts: list[str] = []
    run: list[tuple[str, str]] = []
    end = 0
    style: tuple[str, ...] = ()
    for point in POINT.finditer(svg):
        x, y, *attributes = point.groups()
        if point.start() != end or tuple(attributes) != style or len(run) == POINTS_PER_PATH:
            parts += [_path_of_dots(run, style), svg[end : point.start()]]
            run, style = [], tuple(attributes)
        run.append((x, y))
        end = point.end()
    return "".join([*parts, _path_of_dots(run, style), svg[end:]])


def _path_of_dots(points: Sequence[tuple[str, str]], style: Sequence[str]) -> str:
    """The outlines of the points, then the dots within them."""
    if not points:
        return ""
    radius, opacity, outline, fill, stroke = style
    size, edge = 2 * float(radius), float(outline) if stroke else 0.0
    path = "".join(f"M{x},{y}h.01" for x, y in points)  # a length of 0 would make the browser draw circles again
    pens = [(size + edge, stroke)] * (edge > 0) + [(size - edge, fill)]
    return "".join(
        f'<path d="{path}" style="fill: none; stroke: {colour}; stroke-width: {width:g}px; stroke-linecap: '
        f'round; stroke-opacity: {opacity};"/>'
        for width, colour in pens
    )
