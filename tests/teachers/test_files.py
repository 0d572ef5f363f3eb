"""A teacher's file is data: hostile and damaged ones get a clear error, and nothing in them runs."""

from __future__ import annotations

import os
import pickle
import zipfile

import pytest
import torch
from safetensors.torch import save_file

from atesc_core.errors import TeacherError
from atesc_core.models import build
from atesc_core.teachers import conversion, list_teachers
from atesc_core.teachers.files import header, read_tensors, save_tensors
from atesc_core.teachers.staging import StagedTeacher
from atesc_core.teachers.zoo import load_teacher
from tests.support.users_files import read_users_file


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
    model = read_users_file(path, "small")
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
    with pytest.raises(
        TeacherError, match=r"bomb\.pt: holds Python objects \(posix\.mkdir\).*torch\.save\(model\.state_dict\(\)"
    ):
        read_users_file(path, "small")
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


@pytest.mark.parametrize(
    ("how", "says"),
    [
        ("nan", "backbone.0.weight holds NaN"),
        ("inf", "head.bias holds NaN or infinite"),
        ("missing", "missing backbone.0.weight"),
        ("unlisted", "unexpected surprise"),
        ("shape", "has shape"),
    ],
)
def test_wrong_tensors_are_named(tmp_path, good, how, says):
    path = tmp_path / "t.safetensors"
    save_file(edited(good, how), path)
    with pytest.raises(TeacherError, match=says):
        read_users_file(path, "small")


def test_a_wrong_architecture_is_named(tmp_path, good):
    path = tmp_path / "t.safetensors"
    save_file(good, path)
    with pytest.raises(TeacherError, match="not resnet18"):
        read_users_file(path, "resnet18")
    with pytest.raises(TeacherError, match="'alexnet' is not known"):
        read_users_file(path, "alexnet")


@pytest.mark.parametrize("name", ["empty.pt", "empty.safetensors"])
def test_an_empty_file(tmp_path, name):
    (tmp_path / name).touch()
    with pytest.raises(TeacherError, match="is empty"):
        read_users_file(tmp_path / name, "small")


@pytest.mark.parametrize("name", ["cut.pt", "cut.safetensors"])
def test_a_truncated_file(tmp_path, good, name):
    path = tmp_path / name
    torch.save(good, path) if name.endswith("pt") else save_file(good, path)
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(TeacherError, match="not a"):
        read_users_file(path, "small")


def test_a_misnamed_an_absent_and_an_oversize_file(tmp_path, good, monkeypatch):
    with pytest.raises(TeacherError, match="no such file"):
        read_users_file(tmp_path / "none.pt", "small")
    (tmp_path / "t.exe").write_bytes(b"MZ")
    with pytest.raises(TeacherError, match="ending in"):
        read_users_file(tmp_path / "t.exe", "small")
    torch.save(good, tmp_path / "t.pt")
    monkeypatch.setattr(conversion, "MAX_FILE_BYTES", 1000)
    with pytest.raises(TeacherError, match="expected at most"):
        read_users_file(tmp_path / "t.pt", "small")


@pytest.mark.parametrize(
    ("true", "false"), [(".safetensors", ".pt"), (".pt", ".safetensors"), (".pth", ".safetensors")]
)
def test_a_renamed_file_says_what_it_really_is(tmp_path, good, true, false):
    path = tmp_path / f"t{true}"
    save_file(good, path) if true == ".safetensors" else torch.save(good, path)
    kind = "safetensors" if true == ".safetensors" else "PyTorch"
    with pytest.raises(TeacherError, match=f"named {false}, but its content is {kind}; expected the name to end in"):
        read_users_file(path.rename(tmp_path / f"t{false}"), "small")


def test_an_archive_that_unpacks_to_more_is_not_unpacked(tmp_path, good, monkeypatch):
    """A zip bomb: 2 MB of zeros in a few kB."""
    path = tmp_path / "bomb.pt"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bomb/data.pkl", bytes(2_000_000))
    monkeypatch.setattr(conversion, "MAX_FILE_BYTES", 1_000_000)
    assert path.stat().st_size < 10_000
    with pytest.raises(TeacherError, match=r"bomb\.pt: 2 MB when unpacked; expected at most 1 MB"):
        read_users_file(path, "small")


def test_shapes_are_checked_before_any_weight_is_read(tmp_path, good, monkeypatch):
    good["backbone.0.weight"] = torch.zeros(32, 3, 5, 5)
    torch.save(good, tmp_path / "t.pt")
    monkeypatch.setattr("atesc_core.teachers.formats.read_tensors", lambda *_: pytest.fail("weights were read"))
    with pytest.raises(TeacherError, match="has shape"):
        read_users_file(tmp_path / "t.pt", "small")


@pytest.mark.parametrize(
    "content", [b"\x80", b"PK\x03\x04", b"PK\x05\x06" + bytes(18), b"\xff" * 7 + b"\x00{" * 9, b"{"]
)
@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_noise_is_refused(tmp_path, content, suffix):
    (tmp_path / f"t{suffix}").write_bytes(content)
    with pytest.raises(TeacherError, match=rf"t\{suffix}: (not a|named|the file is empty)"):
        read_users_file(tmp_path / f"t{suffix}", "small")


def test_a_tensor_list_is_not_a_state_dict(tmp_path):
    torch.save([torch.zeros(1)], tmp_path / "t.pt")
    with pytest.raises(TeacherError, match="dict of names to tensors"):
        read_users_file(tmp_path / "t.pt", "small")


def add(name, tmp_path):
    checked = StagedTeacher(tmp_path / "mine.safetensors").check("NTL", "mnistm-fashion", "small", 16)
    return checked.add(name, tmp_path / "runs")


def test_an_added_teacher_is_measured_listed_and_loaded(tmp_path, good):
    save_file(good, tmp_path / "mine.safetensors")
    card = add("mine", tmp_path)
    assert set(card.metrics) == {"iacc", "olacc"}
    assert card in list_teachers(tmp_path / "runs")
    assert card not in list_teachers()
    assert load_teacher("mine", tmp_path / "runs").card == card
    with pytest.raises(TeacherError, match="is taken"):
        add("mine", tmp_path)


@pytest.mark.parametrize("name", ["../x", "a/b", "", "A B", "x" * 65, "con\x00"])
def test_names_never_become_paths(tmp_path, good, name):
    save_file(good, tmp_path / "mine.safetensors")
    with pytest.raises(TeacherError):
        add(name, tmp_path)
    with pytest.raises(TeacherError):
        load_teacher(name, tmp_path / "runs")


@pytest.mark.parametrize("flipped", [-1, -4000, -9])
def test_a_damaged_file_of_the_lab_is_not_read_as_if_it_were_whole(tmp_path, good, flipped):
    """A student whose file had a flipped bit was exported with exit status 0."""
    save_tensors(good, tmp_path / "t.safetensors", header(arch="small"))
    assert all(torch.equal(value, good[key]) for key, value in read_tensors(tmp_path / "t.safetensors").items())
    data = bytearray((tmp_path / "t.safetensors").read_bytes())
    data[flipped] ^= 1
    (tmp_path / "t.safetensors").write_bytes(data)
    with pytest.raises(TeacherError, match=r"t\.safetensors: damaged: its weights are not those that were written"):
        read_tensors(tmp_path / "t.safetensors")
