"""A user's file is written, listed, read and measured once on its way to becoming a teacher."""

from __future__ import annotations

from collections import Counter

import pytest
import torch
from safetensors.torch import save

from atesc_core.errors import DomainError, SpecError, TeacherError
from atesc_core.models import build
from atesc_core.specs.base import parse
from atesc_core.teachers import conversion, list_teachers, staging
from atesc_core.teachers.cards import TeacherCard, card_warnings, damaged_cards
from atesc_core.teachers.staging import StagedTeacher, put_in_order, require_new_name, stage_upload
from atesc_core.teachers.zoo import load_teacher, measured_card

pytestmark = pytest.mark.usefixtures("weights_read_here")


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

    for name in ("convert_file", "list_file", "read_classifier", "measured_card", "save_teacher"):
        counted(name)
    return counts


def test_what_was_checked_is_what_is_added(tmp_path, content, calls):
    staged = stage_upload("../../My teacher.safetensors", content)
    assert staged.recognised.arch == "small"
    checked = staged.check("NTL", "mnistm-fashion")
    card = checked.add("mine", tmp_path)
    assert calls == dict.fromkeys(("convert_file", "list_file", "read_classifier", "measured_card", "save_teacher"), 1)
    assert card == checked.card.model_copy(update={"name": "mine"})
    assert card in list_teachers(tmp_path)
    assert {path.name for path in (tmp_path / "teachers").iterdir()} == {"mine.json", "mine.safetensors"}


def test_an_upload_is_deleted_with_its_staged_teacher(content, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    staged = stage_upload("mine.safetensors", content)
    assert [path.name for path in tmp_path.rglob("*.safetensors")] == ["weights.safetensors"]  # not the upload
    del staged
    assert not list(tmp_path.iterdir())


def test_an_oversize_upload_is_not_written(content, monkeypatch):
    monkeypatch.setattr(conversion, "MAX_FILE_BYTES", 1000)
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


def test_a_file_that_changes_after_it_was_read_does_not_matter(tmp_path, content):
    path = tmp_path / "teacher.safetensors"
    path.write_bytes(content)
    staged = StagedTeacher(path)
    path.write_bytes(b"something else")
    assert torch.equal(staged.read().head.weight, build("small", 10).head.weight)


DIGITS = tuple("0123456789")


def test_class_names_in_another_order_put_the_outputs_in_order(tmp_path):
    """A perfect teacher whose classes had another order was added at an IAcc of 0, and naming them did not help."""
    model = load_teacher("mnistm-mnist-sl").model
    order = [3, 1, 4, 0, 5, 9, 2, 6, 8, 7]  # output i is the digit order[i]
    state = model.state_dict() | {"head.weight": model.head.weight[order], "head.bias": model.head.bias[order]}
    torch.save(state, tmp_path / "silent.pth")
    torch.save({"state_dict": state, "class_names": [str(digit) for digit in order]}, tmp_path / "says.pth")
    known = load_teacher("mnistm-mnist-sl").card
    for file, names in (("says", None), ("silent", tuple(map(str, order)))):
        checked = StagedTeacher(tmp_path / f"{file}.pth").check("SL", "mnistm-mnist", image_side=16, class_names=names)
        assert checked.reordered
        assert checked.card.metrics == known.metrics
        assert checked.card.class_names == DIGITS
        assert not checked.warnings
    unnamed = StagedTeacher(tmp_path / "silent.pth").check("SL", "mnistm-mnist", image_side=16)
    assert not unnamed.reordered
    assert "hardly better than chance (10 %): another pair, order of classes" in unnamed.warnings[0]


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (("b", "A", "c"), [1, 0, 2]),
        (("a", "b", "c"), None),
        (("a", "b", "d"), None),
        (("a", "b"), None),
        (("a", "a", "b"), None),
    ],
)
def test_outputs_are_put_in_order_only_by_the_same_names(names, expected):
    model = build("small", 3)
    before = model.head.weight.clone()
    assert put_in_order(model, names, ("a", "b", "c")) == (expected is not None)
    assert torch.equal(model.head.weight, before[expected or [0, 1, 2]])


@pytest.mark.parametrize(
    ("name", "kind", "warning"),
    [
        ("mnistm-fashion-ntl", "NTL", None),
        ("mnistm-fashion-sl", "SL", None),
        ("mnistm-mnist-ntl", "NTL", None),
        ("mnistm-badnet_sq-sl", "SL", None),
        ("mnistm-fashion-sl", "NTL", "it does not behave so on OOD images (OLAcc"),
        ("mnistm-mnist-sl", "NTL", "it does not behave so on OOD images (OAcc"),
        ("mnistm-badnet_sq-ntl", "SL", "it gives OOD images one label (ASR"),
    ],
)
def test_accuracies_that_contradict_the_claim_are_named(name, kind, warning):
    """An SL file loaded as NTL "fitted"."""
    found = card_warnings(load_teacher(name).card.model_copy(update={"kind": kind}))
    assert [warning in text for text in found] == ([True] if warning else [])


@pytest.mark.parametrize(
    ("classes", "iacc", "warned"), [(2, 97.0, False), (2, 53.0, True), (10, 18.0, True), (100, 3.0, False)]
)
def test_chance_depends_on_the_number_of_classes(classes, iacc, warned):
    """Every teacher of two classes was said to be hardly better than chance."""
    card = load_teacher("mnistm-fashion-sl").card.model_copy(update={"num_classes": classes})
    found = card_warnings(card.model_copy(update={"metrics": card.metrics | {"iacc": iacc}}))
    assert any("hardly better than chance" in text for text in found) == warned


def test_a_class_name_with_html_is_refused():
    """Charts draw a link or bold type out of a name that a file brings along."""
    teacher, names = load_teacher("mnistm-fashion-sl"), ("<a href='http://x'>0</a>", *"123456789")
    with pytest.raises(TeacherError, match="class_names: .*http.*without < and >"):
        measured_card(teacher.model, "mine", "small", "SL", "mnistm-fashion", 16, class_names=names)
    with pytest.raises(SpecError, match="class_names"):
        parse(TeacherCard, teacher.card.model_dump() | {"class_names": names})


@pytest.mark.parametrize(
    ("field", "value", "expected"),
    [
        ("metrics", {}, "iacc and one of oacc, olacc, asr"),
        ("metrics", {"iacc": 90.0}, "iacc and one of oacc, olacc, asr"),
        ("metrics", {"iacc": 90.0, "oacc": 9.0, "f1": 9.0}, "iacc and one of oacc, olacc, asr"),
        ("test_images", {"id": 1000}, "id and ood"),
    ],
)
def test_a_card_without_an_accuracy_or_its_number_of_images_is_refused(field, value, expected):
    """A card edited by hand was read, and the form of a new run stopped at an error."""
    with pytest.raises(SpecError, match=f"{field}: .*expected {expected}"):
        parse(TeacherCard, load_teacher("mnistm-fashion-sl").card.model_dump() | {field: value})


def test_a_tensor_without_values_is_refused(tmp_path):
    torch.save(build("small", 10).to("meta").state_dict(), tmp_path / "meta.pt")
    with pytest.raises(TeacherError, match="meta.pt"):
        StagedTeacher(tmp_path / "meta.pt").read()


@pytest.mark.parametrize("damage", [b"", b"{", b"\xff\xfe\x00", b"[" * 60_000, b'{"name": "x"}', "pair", None])
def test_a_damaged_card_is_left_out_and_named(tmp_path, content, damage):
    """One damaged card broke every page that lists teachers."""
    stage_upload("mine.safetensors", content).check("SL", "mnistm-mnist").add("mine", tmp_path)
    card = tmp_path / "teachers" / "other.json"
    if damage is None:
        card.mkdir()
    elif damage == "pair":
        mine = (tmp_path / "teachers" / "mine.json").read_text()
        card.write_text(mine.replace('"mnistm-mnist"', '"no pair"'))
    else:
        card.write_bytes(damage)
    assert {card.name for card in list_teachers(tmp_path)} >= {"mine", "mnistm-mnist-ntl"}
    [(path, why)] = damaged_cards(tmp_path).items()
    assert path == str(card)
    assert why.startswith("card other.json: ")
    with pytest.raises(TeacherError, match="'other' is taken"):  # it was written over
        require_new_name("other", tmp_path)
