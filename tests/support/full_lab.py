"""A lab that has a file of every kind that docs/storage.md names, and a view of a page that reads each."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from atesc_core.distillation.turns import StudentTurn
from atesc_core.embedding import PCAMap, ReferenceMap
from atesc_core.embedding.features import content_hash
from atesc_core.embedding.map_folder import COORDINATES, FEATURES, SETTINGS
from atesc_core.figures.export.recipe import Panel, Recipe
from atesc_core.recording import Recording
from atesc_core.recording.file import save
from atesc_core.recording.writer import scenes_file
from atesc_core.runs import RunStore, trials
from atesc_core.runs.launcher import log_file
from atesc_core.runs.log import RunLog
from atesc_core.runs.students.__main__ import compute_labels, compute_missing, features_of_run
from atesc_core.runs.turn_file import save_turn
from atesc_core.runs.worker import work
from atesc_core.teachers.zoo import load_teacher, save_teacher
from pages.shared.ui.uncaught_errors import LOG_NAME
from tests.support.copies import copy_lab
from tests.support.labs import STORY, TEACHER, Lab, tiny_spec
from tests.support.recordings import by_hand
from tests.support.reports import save_report

UPLOAD = "0123456789abcdef"
RUN = "runs/#/"
KINDS = {  # with ids, hashes and epochs replaced -> the view whose page reads it
    "runs.sqlite": "start",
    f"{RUN}spec.yaml": "run",
    f"{RUN}snapshots/#.npz": "threshold",
    f"{RUN}students/#.safetensors": "map of a student",
    f"{RUN}checkpoint.pt": "threshold",
    f"{RUN}fork_points/#.pt": "trial",
    f"{RUN}trace.npz": "turn",
    f"{RUN}log.txt": "failed run",
    "teachers/mine.json": "teachers",
    "teachers/mine.safetensors": "own teacher",
    "recordings/#.atesc": "recording",
    "cache/report-#.npz": "shipped teacher",
    "cache/batchnorm-#.npz": "shipped teacher",
    "cache/scenes-#.atesc": "story",
    "cache/students/#.npz": "confusion",
    "cache/embedding/#/reference.npz": "umap",
    "cache/embedding/#/reference.xy.npz": "umap",
    "cache/embedding/#/settings.json": "umap",
    "cache/embedding/#/positions/#.npz": "umap",
    "worker.log": "start",
    "atesc-lab-errors.log": "start",
}


@dataclass(frozen=True)
class FullLab:
    """The lab's folder, and each view as the page's name and its link."""

    runs_dir: Path
    views: dict[str, tuple[str, dict[str, str]]]


def make_full_lab(lab: Lab, scenes: Recording, to: Path) -> FullLab:
    """A copy of ``lab`` with what it lacks, written by the code that writes it in use, except the UMAP's coordinates:
    to fit one would take half a minute."""
    runs_dir = copy_lab(lab.runs_dir, to)
    store = RunStore(runs_dir)
    report = save_report(runs_dir)
    trial = trials.start(store, lab.atesc, 9.0)
    work(runs_dir, "cpu")
    failed, stepped = store.create(tiny_spec()), store.create(tiny_spec())
    RunLog(store, store.get(failed)).fail(RuntimeError("for the test"))
    with store.database.write() as connection:
        connection.execute("UPDATE runs SET requested_state = 'pause' WHERE id = ?", (stepped,))
    save_turn(_turn(), store.trace_file(stepped))
    loaded = load_teacher(TEACHER)
    save_teacher(loaded.model, loaded.card.model_copy(update={"name": "mine"}), runs_dir / "teachers")
    (runs_dir / "recordings").mkdir()
    save(by_hand(), runs_dir / "recordings" / f"{UPLOAD}.atesc")
    save(scenes, scenes_file(runs_dir, lab.plain))
    compute_missing(store, lab.atesc, features_of_run(store, lab.atesc))
    compute_labels(store, lab.atesc)
    _save_map(store, lab.atesc, report.id.features, report.ood.features)
    for log in (log_file(runs_dir), runs_dir / LOG_NAME):
        log.write_text("what happened\n")
    run = {"run": lab.atesc}
    views: dict[str, tuple[str, dict[str, str]]] = {
        "start": ("start", {}),
        "story": ("story", {"story": STORY, "step": "2"}),
        "recording": ("story", {"recording": UPLOAD}),
        "domains": ("domains", {}),
        "teachers": ("teachers", {}),
        "own teacher": ("teachers", {"teacher": "mine"}),
        "shipped teacher": ("teachers", {"teacher": TEACHER}),
        "run": ("distill", run),
        "turn": ("distill", {"run": stepped}),
        "failed run": ("distill", {"run": failed}),
        "threshold": ("robustness", run),
        "trial": ("robustness", run | {"try": trial.new.id}),
        "map": ("embedding", run),
        "umap": ("embedding", run | {"method": "UMAP"}),
        "map of a student": ("embedding", run | {"features": "student"}),
        "compare": ("compare", {}),
        "figures": ("figures", run),
        "confusion": (
            "figures",
            run | {"recipe": Recipe(panels=(Panel(figure="confusion", run=lab.atesc),)).to_token()},
        ),
        "results": ("results", {}),
        "storage": ("storage", {}),
    }
    store.close()
    return FullLab(runs_dir, views)


def _turn() -> StudentTurn:
    random = np.random.default_rng(0)
    logits = random.random((3, 5, 10), dtype=np.float32)
    return StudentTurn(
        epoch=1,
        round=1,
        number=1,
        turn_count=2,
        losses={"s/total": 0.5},
        losses_after={"s/total": 0.25},
        gradient_norm=0.125,
        weight_count=7,
        learning_rate=0.1,
        images=random.integers(0, 256, (5, 3, 16, 16), dtype=np.uint8),
        teacher_logits=logits[0],
        student_logits_before=logits[1],
        student_logits_after=logits[2],
        teach_mask=np.array([True, True, True, False, False]),
    )


def _save_map(store: RunStore, run_id: str, id_features: np.ndarray, ood_features: np.ndarray) -> None:
    umap, pca = ReferenceMap(id_features, ood_features, store.runs_dir / "cache"), PCAMap.fit(id_features, ood_features)
    umap.folder.write(FEATURES, np.concatenate([id_features, ood_features]))
    umap.folder.write(SETTINGS, json.dumps(umap.settings))
    umap.folder.write(COORDINATES, pca.transform(np.concatenate([id_features, ood_features])))
    for epoch in store.snapshot_epochs(run_id):
        features = store.snapshot(run_id, epoch).features
        umap.folder.write(umap.folder.positions(content_hash(features)), pca.transform(features))
