"""The real commands, as a shell runs them; what is typed wrong, in this process."""

from __future__ import annotations

import csv
import dataclasses
import json
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import torchvision
from PIL import Image
from typer.testing import CliRunner

from atesc_core import cli
from atesc_core.domains.loading import load_domain, load_pair
from atesc_core.figures.trial import signed_points
from atesc_core.models import ARCHITECTURES, build
from atesc_core.robustness.scores import SCORES
from atesc_core.runs import RunStore
from atesc_core.runs.worker import work
from atesc_core.teachers import find_card, list_teachers
from atesc_core.teachers.zoo import load_teacher
from atesc_core.training.evaluation import Evaluator
from tests.support.commands import command, run_in_process, run_process
from tests.support.copies import copy_lab
from tests.support.damage import flip_bit
from tests.support.labs import archive_of, logged_run
from tests.support.published_weights import wrn
from tests.support.tiny_runs import save_tiny_teacher
from tests.support.waiting import until

ROOT = Path(cli.__file__).parents[2]
SETTINGS = {
    "split.threshold": 4,
    "epochs": 2,
    "rounds": 2,
    "batch_size": 16,
    "snapshot_images": 16,
    "lr": 1e-2,
    "device": "cpu",
}
DISTILL = ["distill", "--teacher", "tiny", *(word for key in SETTINGS for word in ("--set", f"{key}={SETTINGS[key]}"))]
MINE = ["teachers", "train", "mine", "--pair", "mnistm-mnist"]


@pytest.fixture
def runs_dir(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # tiny tensors: a second thread would only wait for the first
    save_tiny_teacher(tmp_path)
    return tmp_path


def test_a_damaged_student_is_not_written(lab_with_runs, tmp_path, monkeypatch, capsys):
    """The damaged file was written, with exit status 0."""
    lab, run_id = copy_lab(lab_with_runs.runs_dir, tmp_path / "lab"), lab_with_runs.atesc
    flip_bit(RunStore(lab).student_file(run_id, 2))
    out = tmp_path / "student.safetensors"
    monkeypatch.setattr(sys, "argv", ["atesc", "runs", "student", run_id, "--out", str(out), "--runs-dir", str(lab)])
    with pytest.raises(SystemExit) as exit_:
        cli.main()
    assert exit_.value.code == 2
    assert f"error: run: {run_id}, the student of epoch 2: 00002.safetensors: damaged" in capsys.readouterr().err
    assert not out.exists()


def test_help_comes_without_the_heavy_imports():
    code = (
        "import sys; from atesc_core.cli import app\n"
        "try: app(['--help'])\n"
        "except SystemExit: pass\n"
        "sys.exit(any(name in sys.modules for name in ('torch', 'pandas', 'streamlit')))"
    )
    found = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert found.returncode == 0
    for name in ("distill", "score", "teachers", "domains", "runs", "recording", "worker", "try"):
        assert name in found.stdout


def test_a_run_from_the_shell_is_one_of_the_labs(runs_dir):
    where = ("--runs-dir", runs_dir)
    out = run_process(*DISTILL, "--preset", "quick", "--escape", "ckd", "--seed", "3", "--json", *where)
    result = json.loads(out.splitlines()[-1])
    measured = ["iacc", "oacc", "worst_recall", "trap_recall", "trap_share"]
    assert list(result) == ["run_id", "epoch", *measured]
    assert result["epoch"] == 2

    store = RunStore(runs_dir)
    [kept] = store.distillations()
    assert (kept.id, kept.status, kept.metrics) == (result["run_id"], "done", {name: result[name] for name in measured})
    assert (kept.spec.escape.kind, kept.spec.seed, kept.spec.lr, kept.spec.preset) == ("ckd", 3, 0.01, "quick")

    [listed] = json.loads(run_in_process("runs", "list", "--json", *where))
    assert (listed["id"], listed["status"], listed["metrics"]) == (kept.id, "done", kept.metrics)
    assert kept.id in run_in_process("runs", "list", *where)
    shown = run_in_process("runs", "show", kept.id, *where)
    assert "status: done" in shown
    assert "lr: 0.01" in shown

    run_in_process("runs", "student", kept.id, "--out", runs_dir / "mine.safetensors", *where)
    checked = run_in_process("teachers", "check", runs_dir / "mine.safetensors")
    assert "recognised: small, by the names of this lab" in checked
    assert "class names: 0, 1, 2" in checked

    table = runs_dir / "scores.csv"
    run_in_process(
        "score", "--teacher", "tiny", "--domain", "synthetic", "--run", kept.id, "--epoch", "1", "--out", table, *where
    )
    with table.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["index", "domain", "label", "teacher_class", "probability", *SCORES]
    assert len(rows) == 16
    snapshot = store.snapshot(kept.id, 1)
    assert [int(row["teacher_class"]) for row in rows] == list(snapshot.teacher_probs.argmax(1))
    assert [float(row["probability"]) for row in rows] == pytest.approx(list(snapshot.teacher_probs.max(1)), abs=1e-5)


@pytest.mark.parametrize(
    ("words", "score", "threshold"),
    [
        *(([f"--set=split.score={name}"], name, 4.0) for name in SCORES),
        (["--set=split.score=random", "--set=split.threshold=share", "--set=split.fragile_share=0.25"], "random", None),
        (["--set=split.threshold=mixture"], "min_eps", None),
        (["--escape=abd"], "min_eps", None),
        (["--escape=tadfkd", "--set=split.threshold=0.5"], "gmm", 0.5),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_every_comparator_runs_from_the_command_line(runs_dir, monkeypatch, words, score, threshold):
    """The worker works in this process: a process each would take most of the time to start."""
    monkeypatch.setattr(cli.runs, "follow", lambda store, run: work(runs_dir, "cpu") or store.refresh(run))
    run_in_process(*DISTILL, "--set", "escape.warmup_epochs=1", *words, "--runs-dir", runs_dir)
    [kept] = RunStore(runs_dir).distillations()
    assert (kept.status, kept.spec.split.score) == ("done", score)
    steps = RunStore(runs_dir).rounds(kept.id)
    assert ("g/vaccine" in steps) == (kept.spec.escape.kind == "abd")
    split = steps[steps["threshold"].notna()]
    assert bool(len(split)) == kept.spec.escape.splits
    assert threshold is None or (split["threshold"] == threshold).all()


def test_a_tried_threshold_off_the_scale_is_doubted(lab_with_runs, tmp_path, monkeypatch):
    lab = copy_lab(lab_with_runs.runs_dir, tmp_path / "lab")
    follow = lambda store, run: work(lab, "cpu") or store.refresh(run)  # noqa: E731
    monkeypatch.setattr(cli.trials, "follow", follow)
    words = ["try", lab_with_runs.atesc, "--threshold", "99", "--runs-dir", str(lab)]
    result = CliRunner().invoke(cli.app, words, catch_exceptions=False)
    assert result.exit_code == 0
    assert "note: threshold: 99 is off the scale of min_eps, 0 to 32" in result.output


def test_a_threshold_is_tried_from_the_command_line(runs_dir, monkeypatch):
    follow = lambda store, run: work(runs_dir, "cpu") or store.refresh(run)  # noqa: E731
    for module in (cli.runs, cli.trials):
        monkeypatch.setattr(module, "follow", follow)
    at = ("--runs-dir", runs_dir)
    run_in_process(*DISTILL, "--set", "escape.warmup_epochs=1", "--set", "split.score=energy", *at)
    store = RunStore(runs_dir)
    [kept] = store.distillations()
    result = json.loads(run_in_process("try", kept.id, "--threshold", "9", "--json", *at).splitlines()[-1])
    assert result["thresholds"] == {"old": 4.0, "new": 9.0}
    assert (result["old"], result["after"]) == (kept.id, 1)
    old, new = (store.epochs(run_process).iloc[-1] for run_process in (kept.id, result["new"]))
    assert result["epochs"] == [
        {
            "epoch": 2,
            **{f"{name}_{arm}": row[name] for name in ("iacc", "oacc") for arm, row in (("old", old), ("new", new))},
            **{name: new[name] - old[name] for name in ("iacc", "oacc")},
        }
    ]
    told = run_in_process("try", kept.id, "--threshold", "9", "--after", "1", *at)
    assert f"{new['iacc']:.1f}" in told
    assert signed_points(new["iacc"] - old["iacc"]) in told
    assert "try: 4.00 → 9.00" in run_in_process("runs", "list", *at)


@pytest.mark.parametrize(
    ("words", "kind", "temperature", "steps"),
    [
        ([], "dfq", 1, 3),
        (["--synthesizer", "cmi"], "cmi", 20, 15),
        (["--set", "synthesis.kind=nayer"], "nayer", 20, 15),
        (["--synthesizer", "cmi", "--set", "synthesis.steps=2", "--set", "temperature=4"], "cmi", 4, 2),
    ],
)
def test_a_synthesizer_brings_its_presets_settings(runs_dir, monkeypatch, capsys, words, kind, temperature, steps):
    monkeypatch.setattr(cli.runs, "follow", lambda store, run: store.stop(run.id) or store.refresh(run))
    monkeypatch.setattr(sys, "argv", ["atesc_core", *DISTILL, *words, "--runs-dir", str(runs_dir)])
    with pytest.raises(SystemExit):
        cli.main()
    [kept] = RunStore(runs_dir).distillations()
    assert (kept.spec.synthesis.kind, kept.spec.temperature, kept.spec.synthesis.steps) == (kind, temperature, steps)
    assert "note:" not in capsys.readouterr().err


def test_a_teacher_without_batchnorm_is_said_before_the_run(runs_dir, monkeypatch, capsys):
    monkeypatch.setattr(cli.runs, "follow", lambda store, run: store.stop(run.id) or store.refresh(run))
    monkeypatch.setitem(ARCHITECTURES, "small", dataclasses.replace(ARCHITECTURES["small"], batch_norm=False))
    monkeypatch.setattr(sys, "argv", ["atesc_core", *DISTILL, "--synthesizer", "nayer", "--runs-dir", str(runs_dir)])
    with pytest.raises(SystemExit):
        cli.main()
    assert "note: The teacher has no BatchNorm layer: NAYER's R_BN" in capsys.readouterr().err


def test_ctrl_c_stops_the_run_and_keeps_what_it_logged(runs_dir):
    process = command(*DISTILL, "--set", "epochs=1000", "--runs-dir", runs_dir)
    store = RunStore(runs_dir)
    until(lambda: (found := store.distillations()) and found[0].epoch >= 2)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 1
    assert "stopped" in err
    [kept] = store.distillations()
    assert kept.status == "stopped"
    assert len(store.epochs(kept.id)) >= 1


def test_a_teacher_of_ones_own_is_trained_in_line_and_listed(runs_dir):
    out = run_process(
        "teachers",
        "train",
        "mine",
        "--pair",
        "close digits mnist",
        "--method",
        "sl",
        "--set",
        "epochs=2",
        "--set",
        "image_side=8",
        "--device",
        "cpu",
        "--json",
        "--runs-dir",
        runs_dir,
    )
    result = json.loads(out.splitlines()[-1])
    assert list(result) == ["run_id", "epoch", "iacc", "oacc", "worst_recall"]
    [kept] = RunStore(runs_dir).trainings()
    assert (kept.id, kept.status, kept.teacher) == (result["run_id"], "done", "mine")
    assert (kept.spec.trained_by, kept.spec.epochs, kept.spec.device, kept.spec.preset) == ("sl", 2, "cpu", "quick")
    cards = {
        card["name"]: card for card in json.loads(run_in_process("teachers", "list", "--json", "--runs-dir", runs_dir))
    }
    # the run's accuracies are on validation, the card's on test images
    teacher = load_teacher("mine", Path(runs_dir))
    on_test = Evaluator(load_pair(teacher.card.pair, 8), torch.device("cpu"))(teacher.model).metrics
    assert cards["mine"]["metrics"] == pytest.approx({name: on_test[name] for name in ("iacc", "oacc")}, abs=0.005)
    assert "training, sl" in run_in_process("runs", "list", "--runs-dir", runs_dir)
    assert "name: mine" in run_in_process("runs", "show", kept.id, "--runs-dir", runs_dir)


def test_ctrl_c_stops_a_training_and_keeps_what_it_logged(runs_dir):
    process = command(
        "teachers",
        "train",
        "mine",
        "--pair",
        "close digits mnist",
        "--set",
        "epochs=1000",
        "--set",
        "image_side=8",
        "--set",
        "device=cpu",
        "--runs-dir",
        runs_dir,
    )
    store = RunStore(runs_dir)
    until(lambda: (found := store.trainings()) and found[0].epoch >= 2)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 1
    assert "stopped" in err
    [kept] = store.trainings()
    assert kept.status == "stopped"
    assert len(store.epochs(kept.id)) >= 1
    assert "mine" not in {card.name for card in list_teachers(runs_dir)}


def test_a_teachers_file_is_checked_and_the_teachers_are_listed(runs_dir):
    torch.save(build("small", 10, seed=0).state_dict(), runs_dir / "mine.pt")
    assert "10 classes" in run_in_process("teachers", "check", runs_dir / "mine.pt", "--arch", "small")
    names = [card["name"] for card in json.loads(run_in_process("teachers", "list", "--json", "--runs-dir", runs_dir))]
    assert "tiny" in names


def test_a_published_file_is_recognised_checked_and_added(runs_dir):
    """CMI's WRN-16-2, as its registry names the tensors."""
    file = runs_dir / "cifar10_wrn16_2.pth"
    torch.save({"state_dict": wrn(10, blocks=2)}, file)
    said = run_in_process("teachers", "check", file)
    assert "wrn_16_2, 10 classes, 691,674 parameters" in said
    assert "recognised: wrn_16_2, by the names of CMI and NAYER" in said
    assert "class names: not in the file" in said
    assert "mean 0.4914 0.4822 0.4465, std 0.2023 0.1994 0.201 (not in the file; cifar10, unless" in said
    assert "mean 0.5 0.5 0.5, std 0.5 0.5 0.5 (as typed)" in run_in_process(
        "teachers", "check", file, "--normalisation", "half"
    )
    said = run_in_process(
        "teachers",
        "add",
        file,
        "mine",
        "--pair",
        "mnistm-mnist",
        "--kind",
        "SL",
        "--normalisation",
        "half",
        "--classes",
        "a,b,c,d,e,f,g,h,i,j",
        "--image-side",
        "16",
        "--runs-dir",
        runs_dir,
    )
    assert said.splitlines()[-1].startswith("mine: wrn_16_2, 16 px, IAcc ")
    cards = json.loads(run_in_process("teachers", "list", "--json", "--runs-dir", runs_dir))
    assert next(card for card in cards if card["name"] == "mine")["class_names"] == list("abcdefghij")


def refused(capsys, monkeypatch, *words) -> str:
    """What ``atesc`` prints when it refuses, whose last line is the error."""
    monkeypatch.setattr(sys, "argv", ["atesc_core", *map(str, words)])
    with pytest.raises(SystemExit) as exit_:
        cli.main()
    assert exit_.value.code == 2
    return capsys.readouterr().err.strip().splitlines()[-1]


def test_a_file_that_fits_several_architectures_is_measured_as_each_and_never_guessed(runs_dir, capsys, monkeypatch):
    model = torchvision.models.resnet18(num_classes=10)
    model.conv1 = torch.nn.Conv2d(3, 64, 3, bias=False)
    torch.save(model.state_dict(), runs_dir / "r18.pth")
    add = ["teachers", "add", runs_dir / "r18.pth", "mine", "--pair", "backdoor digits badnet_sq 0", "--kind", "SL"]
    add += ["--image-side", "8", "--runs-dir", runs_dir]
    said = refused(capsys, monkeypatch, *add)
    assert "r18.pth: its names and shapes fit several architectures, which compute differently: resnet18, " in said
    assert "name one of them (Architecture, --arch). Measured on backdoor digits badnet_sq 0: resnet18: IAcc " in said
    measured = dict(re.findall(r"(\w+): IAcc ([\d.]+) %", said))
    assert len(measured) >= 2
    assert "mine" not in {card.name for card in list_teachers(runs_dir)}
    printed = run_in_process(*add, "--arch", "resnet18_k3s1_pool")
    assert f"recognised: {' or '.join(measured)}, by the names of NTLBench and " in printed
    assert "(not in the file; imagenet, unless --normalisation says other)" in printed
    assert "class names: not in the file; taken from backdoor digits badnet_sq 0: 0, 1, 2" in printed
    card = find_card("mine", runs_dir)
    assert card.arch == "resnet18_k3s1_pool"
    assert f"{card.metrics['iacc']:g}" == measured["resnet18_k3s1_pool"]


def test_a_folder_with_unreadable_images_is_refused_and_read_without_them(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("ATESC_DATA_DIR", str(tmp_path / "data"))
    for label in ("red", "green"):
        (tmp_path / "pictures" / label).mkdir(parents=True)
        for i in range(6):
            Image.new("RGB", (20, 20)).save(tmp_path / "pictures" / label / f"{i}.png")
    (tmp_path / "pictures" / "red" / "3.png").write_bytes(b"nonsense")
    said = refused(capsys, monkeypatch, "domains", "get", f"folder:{tmp_path}/pictures")
    assert "1 of 12 images cannot be used: red/3.png: not a readable image" in said
    assert f"leave them out: readable:{tmp_path}/pictures" in said
    readable = f"readable:{tmp_path}/pictures"
    result = CliRunner().invoke(cli.app, ["domains", "get", readable])
    assert result.exit_code == 0
    assert "11 images of 2 classes; left out: 1 unreadable images" in " ".join(result.output.split())
    assert sum(load_domain(readable, 8).counts.values()) == 11


def test_runs_are_thinned_and_deleted_from_the_command_line(runs_dir):
    store = RunStore(runs_dir)
    one, other = (logged_run(store, (80.0, 10.0), (81.0, 9.0), (82.0, 8.0)) for _ in range(2))
    for run_id in (one, other):
        for epoch in (1, 2, 3):
            for file in (store.snapshot_file(run_id, epoch), store.student_file(run_id, epoch)):
                file.parent.mkdir(exist_ok=True)
                file.write_bytes(archive_of(100_000))
    assert run_in_process("runs", "thin", one, one, "--runs-dir", runs_dir) == "0.2 MB freed\n"
    assert [store.snapshot_epochs(run_id) for run_id in (one, other)] == [[1, 3], [1, 2, 3]]
    assert len(store.epochs(one)) == 3
    delete = ["runs", "delete", one, other, "--runs-dir", str(runs_dir)]
    asked = CliRunner().invoke(cli.app, delete, input="n\n")
    assert asked.exit_code == 1
    assert "Delete 2 runs, 1.0 MB? [y/N]" in asked.output
    assert {run.id for run in store.all_runs()} == {one, other}
    assert run_in_process(*delete, "--yes") == "1.0 MB freed\n"
    assert store.all_runs() == []
    assert not any(store.folder(run_id).exists() for run_id in (one, other))


def test_a_teacher_of_ones_own_is_deleted_from_the_command_line(runs_dir, capsys, monkeypatch):
    save_tiny_teacher(runs_dir)
    said = refused(capsys, monkeypatch, "teachers", "delete", "mnistm-mnist-ntl", "--yes", "--runs-dir", runs_dir)
    assert "teacher: 'mnistm-mnist-ntl' ships with the lab" in said
    delete = ["teachers", "delete", "tiny", "--runs-dir", str(runs_dir)]
    assert CliRunner().invoke(cli.app, delete, input="n\n").exit_code == 1
    assert find_card("tiny", runs_dir) is not None
    assert run_in_process(*delete, "--yes") == "deleted: tiny\n"
    assert find_card("tiny", runs_dir) is None


def test_a_run_that_cannot_be_read_can_be_deleted(runs_dir):
    """It kept its teacher from being deleted, and nothing could delete it."""
    store = RunStore(runs_dir)
    run_id = logged_run(store, (80.0, 10.0))
    with store.database.write() as connection:
        connection.execute("UPDATE runs SET spec = json_set(spec, '$.unknown', 1)")
    assert list(store.unreadable()) == [run_id]
    run_in_process("runs", "delete", run_id, "--yes", "--runs-dir", runs_dir)
    assert not store.unreadable()
    assert not store.folder(run_id).exists()


def test_a_run_that_is_not_there_deletes_no_other(runs_dir, capsys, monkeypatch):
    store = RunStore(runs_dir)
    run_id = logged_run(store, (80.0, 10.0))
    said = refused(capsys, monkeypatch, "runs", "delete", run_id, "zzzzzzzz", "--yes", "--runs-dir", runs_dir)
    assert "run: 'zzzzzzzz'" in said
    assert [run.id for run in store.all_runs()] == [run_id]


@pytest.mark.usefixtures("weights_read_here")
def test_a_file_without_batchnorm_is_told_what_that_means(runs_dir):
    torch.save(build("vgg13", 10).state_dict(), runs_dir / "plain.pt")
    assert "R_BN is 0 whatever its weight" in run_in_process("teachers", "check", runs_dir / "plain.pt")


@pytest.mark.parametrize(
    ("words", "named"),
    [
        ([*DISTILL, "--set", "epochs=0"], ["epochs", "0", "greater than or equal to 1"]),
        ([*DISTILL, "--set", "epochs=[1]"], ["epochs", "[1]", "expected a number"]),
        ([*DISTILL, "--set", "epochs"], ["--set", "'epochs'", "expected KEY=VALUE"]),
        ([*DISTILL, "--set", "escape.wait=1"], ["escape.wait", "known settings"]),
        ([*DISTILL, "--synthesizer", "gan"], ["--synthesizer", "'gan'", "nayer"]),
        ([*DISTILL, "--synthesizer", "cmi", "--set", "synthesis.balance=3"], ["synthesis.balance", "synthesis.bank"]),
        ([*DISTILL, "--set", "student=huge"], ["student", "'huge'", "small"]),
        ([*DISTILL, "--preset", "slow"], ["preset", "'slow'", "quick"]),
        ([*DISTILL, "--escape", "run"], ["--escape", "'run'", "atesc"]),
        (["distill", "--teacher", "nobody"], ["teacher", "'nobody'", "expected one of"]),
        (["distill", "--teacher", "../tiny"], ["teacher", "'../tiny'"]),
        (["runs", "show", "zzzzzzzz"], ["run", "'zzzzzzzz'"]),
        (["runs", "show", "../../etc"], ["run", "'../../etc'", "8 letters"]),
        (["runs", "student", "zzzzzzzz", "--out", "x.safetensors"], ["run", "'zzzzzzzz'"]),
        (["runs", "student", "zzzzzzzz", "--out", "x.pt"], ["out", "'x.pt'", ".safetensors"]),
        (["try", "zzzzzzzz", "--threshold", "4"], ["run", "'zzzzzzzz'"]),
        (["try", "zzzzzzzz"], ["--threshold"]),
        (["score", "--teacher", "tiny", "--domain", "synthetic", "--out", "x.csv"], ["run", "--run ID"]),
        (["score", "--teacher", "tiny", "--domain", "id", "--out", "/no/such/x.csv"], ["out", "/no/such", "not exist"]),
        (["score", "--teacher", "tiny", "--domain", "id", "--out", "x.csv", "--set", "steps=0"], ["steps", "0"]),
        (["score", "--teacher", "tiny", "--domain", "synthetic", "--run", "zzzzzzzz", "--out", "x.csv"], ["zzzzzzzz"]),
        (["teachers", "train", "nobody"], ["teacher", "'nobody'", "expected one of", "--pair"]),
        (["teachers", "train", "mine", "--method", "sl"], ["pair", "--pair"]),
        ([*MINE, "--method", "gan"], ["--method", "'gan'", "cuti"]),
        ([*MINE, "--preset", "slow"], ["preset", "'slow'", "quick"]),
        ([*MINE, "--arch", "huge"], ["arch", "'huge'", "small"]),
        ([*MINE, "--set", "epochs=0"], ["epochs", "0", "greater than or equal to 1"]),
        ([*MINE, "--set", "wait=1"], ["wait", "known settings"]),
        (["teachers", "train", "tiny", "--pair", "mnistm-mnist"], ["name", "'tiny'", "taken"]),
        (["teachers", "train", "../x", "--pair", "mnistm-mnist"], ["name", "'../x'"]),
        (
            ["teachers", "train", "mine", "--pair", "mnistm-fashion", "--method", "cuti"],
            ["method", "'cuti'", "close-set"],
        ),
        (
            ["teachers", "train", "mine", "--pair", "svhn-mnistm", "--preset", "paper"],
            ["svhn: not in", "domains get svhn"],
        ),
        (["teachers", "check", "missing.pt", "--arch", "small"], ["missing.pt", "no such file"]),
        (["teachers", "check", "missing.pt"], ["missing.pt", "no such file"]),
        (
            ["teachers", "add", "missing.pt", "x", "--pair", "mnistm-mnist", "--kind", "SL"],
            ["missing.pt", "no such file"],
        ),
    ],
    ids=lambda value: " ".join(value)[-32:] if isinstance(value, list) and len(value) > 3 else None,
)
def test_what_is_typed_wrong_is_named_in_one_line(runs_dir, monkeypatch, capsys, words, named):
    monkeypatch.setattr(sys, "argv", ["atesc_core", *words])
    monkeypatch.setenv("ATESC_RUNS_DIR", str(runs_dir))
    monkeypatch.setenv("ATESC_DATA_DIR", str(runs_dir / "no downloads"))
    monkeypatch.chdir(runs_dir)
    with pytest.raises(SystemExit) as exit_:
        cli.main()
    assert exit_.value.code == 2
    said = capsys.readouterr()
    assert said.out == ""
    last = said.err.strip().splitlines()[-1]
    assert last.lower().startswith("error: ")
    for word in named:
        assert word in last
    assert RunStore(runs_dir).all_runs() == [], "nothing was queued"
