"""A user's file is read by a process of its own: whatever the file is, the answer is weights or a sentence."""

from __future__ import annotations

import io
import resource
import signal
import subprocess

import pytest
import torch
import torchvision

from atesc_core.errors import TeacherError
from atesc_core.models import build
from atesc_core.teachers import conversion
from atesc_core.teachers.conversion import convert, convert_file
from atesc_core.teachers.files import list_file, read_tensors
from benchmarks.fuzz import CRASHED, READ, REFUSED, TIMED_OUT, Kind, big_endian, fuzz, kinds


@pytest.fixture
def state() -> dict[str, torch.Tensor]:
    return build("small", 4).state_dict()


def test_the_weights_come_back_as_they_were(tmp_path, state):
    torch.save({"state_dict": state, "class_names": list("abcd"), "epoch": 3}, tmp_path / "t.pth")
    convert_file(tmp_path / "t.pth", tmp_path / "w.safetensors", "mine.pth")
    assert list_file(tmp_path / "w.safetensors").class_names == tuple("abcd")
    read = read_tensors(tmp_path / "w.safetensors")
    assert read.keys() == state.keys()
    assert all(torch.equal(read[key], state[key]) for key in state)


def test_a_big_endian_file_ends_its_reader_only(tmp_path, state):
    """Its byte order made PyTorch's reader crash, and with it the app for every visitor."""
    content = io.BytesIO()
    torch.save(state, content)
    (tmp_path / "big.pth").write_bytes(big_endian(content.getvalue()))
    try:
        convert_file(tmp_path / "big.pth", tmp_path / "w.safetensors")
    except TeacherError as error:
        assert "big.pth: damaged, or not written by PyTorch: its reader crashed (SIG" in str(error)  # noqa: PT017
    else:  # a PyTorch that reads it
        assert read_tensors(tmp_path / "w.safetensors").keys() == state.keys()


def test_a_flipped_bit_in_the_archives_directory_is_a_sentence(tmp_path, state):
    torch.save(state, tmp_path / "t.pth")
    data = bytearray((tmp_path / "t.pth").read_bytes())
    data[data.rfind(b"PK\x01\x02")] ^= 1
    (tmp_path / "t.pth").write_bytes(data)
    with pytest.raises(TeacherError, match=r"t\.pth: not a plain PyTorch state dict, or damaged"):
        convert(tmp_path / "t.pth", tmp_path / "w", "t.pth")


def test_a_whole_model_is_refused_with_what_to_do(tmp_path):
    """The commonest refusal printed terminal codes and half of PyTorch's advice."""
    torch.save(torchvision.models.resnet18(num_classes=4), tmp_path / "t.pth")
    with pytest.raises(TeacherError) as error:
        convert(tmp_path / "t.pth", tmp_path / "w", "t.pth")
    text = str(error.value)
    assert "torchvision.models.resnet.ResNet" in text
    assert "torch.save(model.state_dict(), 'weights.pth')" in text
    assert "\x1b" not in text
    assert len(text) < 500


def test_thousands_of_names_are_refused_at_once(tmp_path):
    """Forty thousand empty tensors took 108 s: each name was compared with all others."""
    torch.save({f"x{number}": torch.zeros(0) for number in range(5_001)}, tmp_path / "t.pth")
    with pytest.raises(TeacherError, match=r"t\.pth: 5,00\d tensors; expected at most 5,000"):
        convert(tmp_path / "t.pth", tmp_path / "w", "t.pth")


def test_looking_a_name_up_does_not_take_longer_the_more_there_are(state):
    """By the number of comparisons, not by the clock: the layout of ten times as many names takes ten times as many."""
    from atesc_core.teachers.files import Listing
    from atesc_core.teachers.formats import recognise

    class Counted(str):
        comparisons = 0
        __slots__ = ()

        def __hash__(self):
            return str.__hash__(self)

        def __eq__(self, other):
            Counted.comparisons += 1
            return str.__eq__(self, other)

    def comparisons(count: int) -> int:
        names = [*state, *(f"x{number}" for number in range(count))]
        listing = Listing("t", {Counted(name): (1,) for name in names}, {Counted(name): True for name in names})
        Counted.comparisons = 0
        with pytest.raises(TeacherError):
            recognise(listing)
        return Counted.comparisons

    assert comparisons(2000) < 20 * comparisons(200)


def test_one_stored_number_that_stands_for_a_huge_tensor_is_not_unfolded(tmp_path):
    torch.save({"x": torch.zeros(1).expand(10**6, 10**6)}, tmp_path / "t.pth")
    with pytest.raises(TeacherError, match=r"t\.pth: 4,000,000 MB of weights; expected at most"):
        convert(tmp_path / "t.pth", tmp_path / "w", "t.pth")


def test_reading_ends_in_time(tmp_path, state, monkeypatch):
    torch.save(state, tmp_path / "t.pth")
    monkeypatch.setattr(conversion, "MAX_S", 0.01)
    with pytest.raises(TeacherError, match="reading it took more than 0.01 s, and was stopped"):
        convert_file(tmp_path / "t.pth", tmp_path / "w")


def test_reading_ends_where_it_takes_too_much_memory(tmp_path, monkeypatch):
    """It was called "not a plain PyTorch state dict, or damaged". The bound is that of the process that reads alone."""
    torch.save({"x": torch.zeros(10_000_000)}, tmp_path / "t.pth")  # 40 MB
    code = "from atesc_core.teachers import conversion; conversion.MAX_MEMORY_BYTES = 2**24; conversion.main()"
    run = subprocess.run
    monkeypatch.setattr(
        subprocess, "run", lambda command, **options: run([command[0], "-c", code, *command[3:]], **options)
    )
    monkeypatch.setattr(conversion, "MAX_MEMORY_BYTES", 2**24)
    before = resource.getrlimit(resource.RLIMIT_AS)
    with pytest.raises(TeacherError, match=r"t\.pth: it takes more than 17 MB of memory to read"):
        convert_file(tmp_path / "t.pth", tmp_path / "w")
    assert not (tmp_path / "w").exists()
    assert resource.getrlimit(resource.RLIMIT_AS) == before


@pytest.mark.parametrize(
    ("status", "says"),
    [
        (-signal.SIGXCPU, "its reader was stopped after 60 s of computing"),
        (-signal.SIGSEGV, r"its reader crashed \(SIGSEGV\)"),
        (1, "its reader ended without an answer"),
    ],
)
def test_the_end_of_a_reader_is_a_sentence(tmp_path, state, monkeypatch, status, says):
    torch.save(state, tmp_path / "t.pth")
    ended = subprocess.CompletedProcess([], status, "a library's own words\n", "Traceback")
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: ended)
    with pytest.raises(TeacherError, match=rf"t\.pth: damaged, or not written by PyTorch: {says}; expected a file as"):
        convert_file(tmp_path / "t.pth", tmp_path / "w")


def test_a_reader_that_does_not_answer_in_time_is_a_failure_of_the_fuzz(monkeypatch):
    """A hang of a minute counted as "crashed, said in a sentence", which is allowed."""
    monkeypatch.setattr("benchmarks.fuzz.SECONDS", 0.05)
    outcomes, reports = fuzz(Kind({"t.pth": b"any"}, lambda path: signal.pause(), own_process=True), 1)
    assert outcomes == {TIMED_OUT: 1}
    [report] = reports
    assert "t.pth, number 0: no answer within 0.05 s" in report
    crashes = Kind({"t.pth": b"any"}, lambda path: signal.raise_signal(signal.SIGTERM), own_process=True)
    assert fuzz(crashes, 1) == ({CRASHED: 1}, [])


@pytest.mark.parametrize("kind", kinds())
def test_damaged_input_is_read_or_refused_in_a_sentence(kind):
    outcomes, reports = fuzz(kinds()[kind], 20)
    assert not reports
    assert outcomes[REFUSED] > 5
    assert sum(outcomes[name] for name in (READ, REFUSED, CRASHED)) == 20
