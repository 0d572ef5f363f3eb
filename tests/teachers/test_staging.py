"""A user's file is written, listed, read and measured once on its way to becoming a teacher."""

from __future__ import annotations

from collections import Counter

import pytest
import torch
from safetensors.torch import save

from atesc_core.errors import DomainError, TeacherError
from atesc_core.models import build
from atesc_core.teachers import files, list_teachers, staging
from atesc_core.teachers.staging import StagedTeacher, stage_upload


@pytest.fixture
def content() -> bytes:
    return save({key: value.contiguous() for key, value in build("small", 10).state_dict().items()})


@pytest.fixture
def calls(monkeypatch) -> Counter[str]:
    counts: Counter[str] = Counter()

    def counted(name: str) -> None:
        function = getattr(staging, name)

        def call(*arguments, **named):
            counts[name] += 1
            return function(*arguments, **named)

        monkeypatch.setattr(staging, name, call)

    for name in ("list_file", "read_classifier", "measured_card", "save_teacher"):
        counted(name)
    return counts


def test_what_was_checked_is_what_is_added(tmp_path, content, calls):
    staged = stage_upload("../../My teacher.safetensors", content)
    assert staged.recognised.arch == "small"
    assert staged.path.name == "upload.safetensors"
    checked = staged.check("NTL", "mnistm-fashion")
    card = checked.add("mine", tmp_path)
    assert calls == dict.fromkeys(("list_file", "read_classifier", "measured_card", "save_teacher"), 1)
    assert card == checked.card.model_copy(update={"name": "mine"})
    assert card in list_teachers(tmp_path)
    assert {path.name for path in (tmp_path / "teachers").iterdir()} == {"mine.json", "mine.safetensors"}


def test_an_upload_is_deleted_with_its_staged_teacher(content):
    staged = stage_upload("mine.safetensors", content)
    path = staged.path
    assert path.exists()
    del staged
    assert not path.exists()


def test_an_oversize_upload_is_not_written(content, monkeypatch):
    monkeypatch.setattr(files, "MAX_FILE_BYTES", 1000)
    monkeypatch.setattr("pathlib.Path.write_bytes", lambda *_: pytest.fail("the file was written"))
    with pytest.raises(TeacherError, match=r"mine\.safetensors: 0 MB; expected at most 0 MB"):
        stage_upload("mine.safetensors", content)


def test_a_file_that_is_not_recognised_says_why_when_it_is_checked(tmp_path):
    (tmp_path / "noise.safetensors").write_bytes(bytes(64))
    staged = StagedTeacher(tmp_path / "noise.safetensors")
    assert staged.recognised is None
    assert "noise.safetensors: not a readable" in str(staged.problem)
    with pytest.raises(TeacherError, match="not a readable safetensors file"):
        staged.check("SL", "mnistm-mnist")


def test_a_pair_that_is_not_known_is_refused(content):
    with pytest.raises(DomainError, match="'nowhere' is not known"):
        stage_upload("mine.safetensors", content).check("SL", "nowhere")


def test_a_file_that_changes_after_it_was_listed_is_refused(tmp_path, content):
    path = tmp_path / "teacher.safetensors"
    path.write_bytes(content)
    staged = StagedTeacher(path)
    state = {key: value.contiguous() for key, value in build("small", 10).state_dict().items()}
    path.write_bytes(save({**state, "extra": state["head.bias"].clone()}))
    with pytest.raises(TeacherError, match="teacher.safetensors: it changed after it was listed"):
        staged.read()
    path.write_bytes(save({**state, "head.bias": torch.zeros(11)}))
    with pytest.raises(TeacherError, match="head.bias is not what the file lists"):
        staged.read()


def test_a_tensor_without_values_is_refused(tmp_path):
    torch.save(build("small", 10).to("meta").state_dict(), tmp_path / "meta.pt")
    with pytest.raises(TeacherError, match="meta.pt"):
        StagedTeacher(tmp_path / "meta.pt").read()
