"""SYN: digits drawn with the fonts that matplotlib ships, after the synthetic digits of Ganin et al. (2016)."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from atesc_core.domains.arrays import SPLIT_SEED, TEST_IMAGES, TRAIN_IMAGES, ArraySplit, Images, Labelled
from atesc_core.domains.data_folder import cached_arrays, digest, file_stamps
from atesc_core.domains.offline import package_folder

FONTS = (
    "DejaVuSans",
    "DejaVuSans-Bold",
    "DejaVuSans-Oblique",
    "DejaVuSansMono",
    "DejaVuSansMono-Bold",
    "DejaVuSerif",
    "DejaVuSerif-Bold",
    "DejaVuSerif-Italic",
    "STIXGeneral",
    "STIXGeneralBol",
    "STIXGeneralItalic",
    "cmss10",
)
SIDE = 32
CONTRAST = 90  # smallest difference of brightness between digit and background, of 255
MAX_TURN = 25  # degrees, in both directions
NEIGHBOUR_SHARE = 0.5  # share of images with a cut-off digit at one side, as on a street number


def syn() -> ArraySplit:
    """8 000 + 1 000 + 1 000 images, (N, 32, 32, 3): font, size, rotation, place, colours and blur by a fixed seed."""
    fonts = [package_folder("matplotlib") / "mpl-data" / "fonts" / "ttf" / f"{name}.ttf" for name in FONTS]
    key = digest(Path(__file__).read_bytes(), file_stamps(fonts))
    counts = ((TRAIN_IMAGES, SPLIT_SEED), (TEST_IMAGES, SPLIT_SEED + 2), (TEST_IMAGES, SPLIT_SEED + 1))
    return cached_arrays("syn", key, lambda: ArraySplit(*(draw(fonts, count, seed) for count, seed in counts)))


def draw(fonts: list[Path], count: int, seed: int) -> Labelled:
    """``count`` images of digits, (count, 32, 32, 3), and their labels, (count,), each class equally often."""
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.arange(count) % 10)
    return Labelled(np.stack([_image(fonts, label, rng) for label in labels]), labels.astype(np.int64))


def _image(fonts: list[Path], label: int, rng: np.random.Generator) -> Images:
    ground, ink = _colours(rng)
    font = _font(fonts[rng.integers(len(fonts))], int(rng.integers(20, 30)))
    centre = SIDE + rng.integers(-3, 4, 2)
    mask = Image.new("L", (2 * SIDE, 2 * SIDE))  # room to rotate the digit
    pen = ImageDraw.Draw(mask)
    pen.text(tuple(centre), str(label), 255, font, anchor="mm")
    if rng.random() < NEIGHBOUR_SHARE:
        neighbour = centre + (rng.choice((-1, 1)) * rng.integers(17, 21), 0)
        pen.text(tuple(neighbour), str(rng.integers(10)), 255, font, anchor="mm")
    mask = mask.rotate(rng.uniform(-MAX_TURN, MAX_TURN), Image.Resampling.BILINEAR)
    mask = mask.crop((SIDE // 2, SIDE // 2, SIDE // 2 + SIDE, SIDE // 2 + SIDE))
    mask = mask.filter(ImageFilter.GaussianBlur(rng.uniform(0, 0.9)))
    share = np.asarray(mask, np.float32)[..., None] / 255
    image: Images = (ground + share * (ink - ground)).round().astype(np.uint8)
    return image


def _colours(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Background and digit colour, (3,) each, with enough difference."""
    while True:
        ground, ink = rng.integers(0, 256, (2, 3)).astype(np.float32)
        if abs(float((ground - ink) @ (0.299, 0.587, 0.114))) >= CONTRAST:
            return ground, ink


@cache
def _font(path: Path, size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(path, size, layout_engine=ImageFont.Layout.BASIC)
