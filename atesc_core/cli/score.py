"""``score``: robustness scores of images by a teacher, as a CSV file."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from atesc_core.cli.common import Device, RunsDir, folder, open_store, print_message, typed_settings
from atesc_core.errors import StoreError
from atesc_core.specs.base import parse
from atesc_core.specs.run import SplitSpec

if TYPE_CHECKING:
    import pandas as pd
    import torch
    from torch import Tensor

    from atesc_core.teachers.zoo import Teacher


class Images(StrEnum):
    """The images to score."""

    id = "id"
    ood = "ood"
    synthetic = "synthetic"


def score(
    teacher: Annotated[str, typer.Option(help="Name of the teacher, as in `teachers list`.")],
    domain: Annotated[
        list[Images],
        typer.Option(help="Which images: the pair's test images, or a run's synthetic ones; may be repeated."),
    ],
    out: Annotated[Path, typer.Option(help="The CSV file to write.")],
    run: Annotated[str | None, typer.Option(help="The run whose synthetic images to score.")] = None,
    epoch: Annotated[int | None, typer.Option(help="Of that run; its last one, unless named.")] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="KEY=VALUE", help="A setting of the split, e.g. --set steps=20; may be repeated."
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the attack's random start.")] = 0,
    device: Device = "auto",
    runs_dir: RunsDir = None,
) -> None:
    """Write how robust the teacher is on each image: index, domain, label, teacher_class, probability, scores.

    The score gmm is fitted to 256 images of one domain at a time: the domains' values cannot be compared.
    """
    import pandas as pd

    from atesc_core.device import pick_device
    from atesc_core.teachers.zoo import load_teacher

    if not out.parent.is_dir():
        raise ValueError(f"out: {str(out)!r}: the folder {str(out.parent)!r} does not exist")
    if Images.synthetic in domain and run is None:
        raise ValueError("run: the domain 'synthetic' needs --run ID")
    loaded = load_teacher(teacher, folder(runs_dir))
    split = parse(SplitSpec, SplitSpec().model_dump() | typed_settings(settings))
    frames = []
    for name in dict.fromkeys(domain):
        if name is Images.synthetic and run is not None:
            images, labels = _synthetic_images(runs_dir, run, epoch)
        else:
            images, labels = _test_images(loaded, name)
        frames.append(_score_table(loaded, name, images, labels, split, seed, pick_device(device)))
    frame = pd.concat(frames)
    frame.to_csv(out, index=False)
    print_message(f"{out}: {len(frame):,} images")


def _test_images(teacher: Teacher, domain: Images) -> tuple[Tensor, list[int | None]]:
    """Test images of the teacher's pair, (N, 3, s, s) in [0, 1], and their true labels."""
    from atesc_core.domains.loading import load_pair

    data = load_pair(teacher.card.pair, teacher.card.image_side)
    test = (data.id if domain is Images.id else data.ood).test
    return test.images, test.labels.tolist()


def _synthetic_images(runs_dir: Path | None, run_id: str, epoch: int | None) -> tuple[Tensor, list[int | None]]:
    """A run's images at the end of an epoch, (N, 3, s, s) in [0, 1]; they have no labels."""
    import torch

    store = open_store(runs_dir)
    store.get_distillation(run_id)
    epochs = store.snapshot_epochs(run_id)
    if epoch is None and not epochs:
        raise StoreError(f"run: {run_id} has no synthetic images yet; they are kept after each epoch")
    snapshot = store.snapshot(run_id, epochs[-1] if epoch is None else epoch)
    return torch.from_numpy(snapshot.images).float() / 255, [None] * len(snapshot.images)


def _score_table(
    teacher: Teacher,
    domain: Images,
    images: Tensor,
    labels: list[int | None],
    split: SplitSpec,
    seed: int,
    device: torch.device,
) -> pd.DataFrame:
    """One row per image: index, domain, label, teacher_class, probability and each score."""
    import pandas as pd
    import torch

    from atesc_core.robustness.scores import all_scores
    from atesc_core.training.evaluation import predict

    model, images = teacher.model.to(device), images.to(device)
    if images.shape[-1] != teacher.card.image_side:
        raise ValueError(f"run: its images are {images.shape[-1]} px; the teacher takes {teacher.card.image_side} px")
    probability, teacher_class = predict(model, images).softmax(1).max(1)
    scores = all_scores(model, images, split, torch.Generator(device).manual_seed(seed))
    return pd.DataFrame(
        {
            "index": range(len(images)),
            "domain": domain.value,
            "label": pd.array(labels, dtype="Int64"),
            "teacher_class": teacher_class.cpu(),
            "probability": probability.cpu(),
            **{name: values.cpu() for name, values in scores.items()},
        }
    )
