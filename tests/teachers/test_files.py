"""A teacher's file is data: hostile and damaged ones get a clear error, and nothing in them runs."""

from __future__ import annotations

import os
import pickle

import pytest
import torch
from safetensors.torch import save_file

from atesc_core.models import build
from atesc_core.teachers import TeacherError, add_teacher, check_file, list_teachers, load_teacher, zoo


@pytest.fixture
def good():
    return {key: value.clone() for key, value in build("small", 10).state_dict().items()}


@pytest.mark.parametrize("wrapped", [False, True])
@pytest.mark.parametrize("suffix", [".safetensors", ".pt", ".pth"])
def test_a_good_file_loads_as_it_was(tmp_path, good, suffix, wrapped):
    path = tmp_path / f"teacher{suffix}"
    if suffix == ".safetensors":
        save_file(good, path)
    else:
        torch.save({"state_dict": good} if wrapped else good, path)
    model = check_file(path, "small")
    assert not model.training
    assert all(torch.equal(value, good[key]) for key, value in model.state_dict().items())
    assert not any(p.requires_grad for p in model.parameters())


class Bomb:
    def __init__(self, target):
        self.target = target

    def __reduce__(self):
        return os.mkdir, (str(self.target),)


@pytest.mark.parametrize("raw", [True, False])
def test_a_pickle_bomb_does_not_go_off(tmp_path, good, raw):
    path, target = tmp_path / "bomb.pt", tmp_path / "owned"
    payload = {**good, "extra": Bomb(target)}
    if raw:
        path.write_bytes(pickle.dumps(payload))
    else:
        torch.save(payload, path)
    with pytest.raises(TeacherError, match=r"bomb\.pt: not a plain PyTorch state dict"):
        check_file(path, "small")
    assert not target.exists()


def edited(good, how):
    key = "backbone.0.weight"
    if how == "nan":
        good[key][0, 0, 0, 0] = float("nan")
    elif how == "inf":
        good["head.bias"][0] = float("inf")
    elif how == "missing":
        del good[key]
    elif how == "unlisted":
        good["surprise"] = torch.zeros(1)
    elif how == "shape":
        good[key] = torch.zeros(32, 3, 5, 5)
    return good


@pytest.mark.parametrize(("how", "says"), [
    ("nan", "backbone.0.weight holds NaN"), ("inf", "head.bias holds NaN or infinite"),
    ("missing", "missing backbone.0.weight"), ("unlisted", "unexpected surprise"), ("shape", "has shape"),
])
def test_wrong_tensors_are_named(tmp_path, good, how, says):
    path = tmp_path / "t.safetensors"
    save_file(edited(good, how), path)
    with pytest.raises(TeacherError, match=says):
        check_file(path, "small")


def test_a_wrong_architecture_is_named(tmp_path, good):
    path = tmp_path / "t.safetensors"
    save_file(good, path)
    with pytest.raises(TeacherError, match="not resnet18"):
        check_file(path, "resnet18")
    with pytest.raises(TeacherError, match="'alexnet' is not known"):
        check_file(path, "alexnet")


@pytest.mark.parametrize("name", ["empty.pt", "empty.safetensors"])
def test_an_empty_file(tmp_path, name):
    (tmp_path / name).touch()
    with pytest.raises(TeacherError, match="is empty"):
        check_file(tmp_path / name, "small")


@pytest.mark.parametrize("name", ["cut.pt", "cut.safetensors"])
def test_a_truncated_file(tmp_path, good, name):
    path = tmp_path / name
    torch.save(good, path) if name.endswith("pt") else save_file(good, path)
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(TeacherError, match="not a"):
        check_file(path, "small")


def test_a_misnamed_an_absent_and_an_oversize_file(tmp_path, good, monkeypatch):
    with pytest.raises(TeacherError, match="no such file"):
        check_file(tmp_path / "none.pt", "small")
    (tmp_path / "t.exe").write_bytes(b"MZ")
    with pytest.raises(TeacherError, match="ending in"):
        check_file(tmp_path / "t.exe", "small")
    torch.save(good, tmp_path / "t.pt")
    monkeypatch.setattr(zoo, "MAX_FILE_BYTES", 1000)
    with pytest.raises(TeacherError, match="expected at most"):
        check_file(tmp_path / "t.pt", "small")


def test_a_tensor_list_is_not_a_state_dict(tmp_path):
    torch.save([torch.zeros(1)], tmp_path / "t.pt")
    with pytest.raises(TeacherError, match="dict of names to tensors"):
        check_file(tmp_path / "t.pt", "small")


def test_an_added_teacher_is_measured_listed_and_loaded(tmp_path, good):
    save_file(good, tmp_path / "mine.safetensors")
    card = add_teacher(tmp_path / "mine.safetensors", "mine", "small", "NTL", "mnistm-fashion", 16, tmp_path / "runs")
    assert set(card.metrics) == {"iacc", "olacc"}
    assert card in list_teachers(tmp_path / "runs")
    assert card not in list_teachers()
    assert load_teacher("mine", tmp_path / "runs").card == card
    with pytest.raises(TeacherError, match="is taken"):
        add_teacher(tmp_path / "mine.safetensors", "mine", "small", "NTL", "mnistm-fashion", 16, tmp_path / "runs")


@pytest.mark.parametrize("name", ["../x", "a/b", "", "A B", "x" * 65, "con\x00"])
def test_names_never_become_paths(tmp_path, good, name):
    save_file(good, tmp_path / "mine.safetensors")
    with pytest.raises(TeacherError):
        add_teacher(tmp_path / "mine.safetensors", name, "small", "NTL", "mnistm-fashion", 16, tmp_path / "runs")
    with pytest.raises(TeacherError):
        load_teacher(name, tmp_path / "runs")
