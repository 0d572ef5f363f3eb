"""The cost of a large scatter in print: the PDF of plotly's points, and of the same points merged into few paths.

    python -m benchmarks.print_points [--points 5000] [--json]

Both PDFs are made from one drawing, in one browser, alternately; the numbers are medians over rounds.
"""

from __future__ import annotations

import argparse
import json
import time
from statistics import median

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from atesc_core import figures
from atesc_core.figures.export import browser, venues
from atesc_core.figures.export.points import merge_points

ROUNDS = 3
CENTRES = {"id": 0.0, "ood": 4.0}  # of the reference points


def embedding(points: int) -> go.Figure:
    """A printed map of ``points`` synthetic images, half of them fragile."""
    random = np.random.default_rng(0)
    reference = pd.concat(
        [
            pd.DataFrame(random.normal(centre, 1, (500, 2)), columns=["x", "y"]).assign(domain=domain)
            for domain, centre in CENTRES.items()
        ],
        ignore_index=True,
    )
    synthetic = pd.DataFrame(random.normal(2, 2, (points, 2)), columns=["x", "y"]).assign(
        id=range(points), fragile=np.arange(points) % 2 == 0
    )
    return venues.for_print(figures.embedding(reference, synthetic, "print"))


def measure(points: int) -> dict[str, float]:
    """Seconds and megabytes of both PDFs."""
    figure = embedding(points)
    browser.draw(embedding(10))  # starts the browser
    started = time.perf_counter()
    drawn = browser.draw(figure)
    measured: dict[str, float] = {"points": points, "draw_s": time.perf_counter() - started}
    pictures = {"plotly": drawn, "merged": merge_points(drawn)}
    seconds: dict[str, list[float]] = {name: [] for name in pictures}
    for _ in range(ROUNDS):
        for name, svg in pictures.items():
            started = time.perf_counter()
            file = browser.print_svg(svg, "pdf", figure.layout.width, figure.layout.height)
            seconds[name].append(time.perf_counter() - started)
            measured[f"{name}_mb"] = len(file) / 1e6
    return measured | {f"{name}_s": median(times) for name, times in seconds.items()}


def main() -> None:
    """Measure, and print the result as text or JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--points", type=int, default=5000)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    measured = measure(arguments.points)
    if arguments.json:
        print(json.dumps(measured))
        return
    print(f"{arguments.points} points, drawn once in {measured['draw_s']:.1f} s; PDF, median of {ROUNDS}:")
    for name, label in {"plotly": "plotly's points", "merged": "merged points"}.items():
        print(f"  {label:20} {measured[f'{name}_s']:6.2f} s {measured[f'{name}_mb']:7.2f} MB")


if __name__ == "__main__":
    main()
