"""What a large scatter costs on paper: the PDF of plotly's own points, and of the same points as strokes of a pen.

    python -m benchmarks.print_points [--points 5000] [--json]

Both are made from one drawing, in one browser, in turns; the figures are medians of the rounds.
"""

from __future__ import annotations

import argparse
import json
import time
from statistics import median

import numpy as np
import pandas as pd

from atesc_core import figures
from atesc_core.figures.export import browser, venues
from atesc_core.figures.export.points import merge_points

ROUNDS = 3
CLOUDS = {"id": 0.0, "ood": 4.0}  # centres of the ground's two


def embedding(points: int):
    """A map of that many synthetic images, half of them fragile."""
    random = np.random.default_rng(0)
    ground = pd.concat(
        [
            pd.DataFrame(random.normal(centre, 1, (500, 2)), columns=["x", "y"]).assign(domain=domain)
            for domain, centre in CLOUDS.items()
        ],
        ignore_index=True,
    )
    synthetic = pd.DataFrame(random.normal(2, 2, (points, 2)), columns=["x", "y"]).assign(
        id=range(points), fragile=np.arange(points) % 2 == 0
    )
    return venues.for_print(figures.embedding(ground, synthetic, "print"))


def measure(points: int) -> dict[str, float]:
    figure = embedding(points)
    browser.draw(embedding(10))  # starts the browser
    begun = time.perf_counter()
    drawn = browser.draw(figure)
    told: dict[str, float] = {"points": points, "draw_s": time.perf_counter() - begun}
    pictures = {"plotly": drawn, "pen": merge_points(drawn)}
    seconds: dict[str, list[float]] = {name: [] for name in pictures}
    for _ in range(ROUNDS):
        for name, svg in pictures.items():
            begun = time.perf_counter()
            file = browser.print_svg(svg, "pdf", figure.layout.width, figure.layout.height)
            seconds[name].append(time.perf_counter() - begun)
            told[f"{name}_mb"] = len(file) / 1e6
    return told | {f"{name}_s": median(taken) for name, taken in seconds.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--points", type=int, default=5000)
    parser.add_argument("--json", action="store_true")
    wanted = parser.parse_args()
    told = measure(wanted.points)
    if wanted.json:
        print(json.dumps(told))
        return
    print(f"{wanted.points} points, drawn once in {told['draw_s']:.1f} s; PDF, median of {ROUNDS}:")
    for name, words in {"plotly": "plotly's own points", "pen": "strokes of a pen"}.items():
        print(f"  {words:20} {told[f'{name}_s']:6.2f} s {told[f'{name}_mb']:7.2f} MB")


if __name__ == "__main__":
    main()
