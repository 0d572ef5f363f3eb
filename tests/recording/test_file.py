"""A file comes back as it was; one that was not made by us is refused, and says why."""

from __future__ import annotations

import io
import json
import struct
import tracemalloc
import zipfile
from collections.abc import Callable

import numpy as np
import pytest

from atesc_core.errors import RecordingError
from atesc_core.recording import Recording, load, save
from atesc_core.recording.file import MANIFEST, MAX_FILE_BYTES, MAX_UNPACKED_BYTES, to_bytes
from atesc_core.recording.manifest import expected_arrays


def test_it_comes_back_as_it_was(recording: Recording, tmp_path):
    save(recording, tmp_path / "by hand.atesc")
    back = load(tmp_path / "by hand.atesc")
    assert back.manifest == recording.manifest
    assert back.arrays.keys() == recording.arrays.keys() == expected_arrays(recording.manifest).keys()
    for name, values in recording.arrays.items():
        np.testing.assert_array_equal(back.arrays[name], values)
        assert back.arrays[name].dtype == values.dtype
    assert list(tmp_path.iterdir()) == [tmp_path / "by hand.atesc"]


def test_the_same_recording_gives_the_same_bytes(recording: Recording):
    assert to_bytes(recording) == to_bytes(recording)


def test_real_runs_come_back(recorded: Recording):
    back = load(io.BytesIO(to_bytes(recorded)))
    assert back.manifest == recorded.manifest
    for run, own in zip(back.manifest.runs, recorded.manifest.runs, strict=True):
        for kept in run.snapshots:
            mine, theirs = recorded.pictures(own, kept.epoch), back.pictures(run, kept.epoch)
            assert mine.scores.keys() == theirs.scores.keys()
            for name, values in (vars(mine) | mine.scores).items():
                if name != "scores":
                    np.testing.assert_array_equal((vars(theirs) | theirs.scores)[name], values)


# ── files that nobody should trust ──────────────────────────────────────────────────────────────────


def repacked(content: bytes, change: Callable[[dict[str, bytes]], None]) -> bytes:
    """The archive with its members changed."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    change(members)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, part in members.items():
            archive.writestr(name, part)
    return packed.getvalue()


def with_manifest(change: Callable[[dict], None]) -> Callable[[dict[str, bytes]], None]:
    def changed(members: dict[str, bytes]) -> None:
        manifest = json.loads(members[MANIFEST])
        change(manifest)
        members[MANIFEST] = json.dumps(manifest).encode()

    return changed


def setting(path: str, value: object) -> Callable[[dict[str, bytes]], None]:
    """A dotted field of the manifest, numbers for places in lists."""

    def change(manifest: dict) -> None:
        *groups, last = [int(part) if part.isdigit() else part for part in path.split(".")]
        place = manifest
        for group in groups:
            place = place[group]
        place[last] = value

    return with_manifest(change)


def put(name: str, values: np.ndarray | bytes) -> Callable[[dict[str, bytes]], None]:
    return lambda members: members.update({name: values if isinstance(values, bytes) else values.tobytes()})


IMAGES = "runs/0/2/images"


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda members: members.pop(MANIFEST), [MANIFEST, "expected a recording"]),
        (put(MANIFEST, b"{"), [MANIFEST, "not JSON"]),
        (put(MANIFEST, b"[" * 100_000), [MANIFEST, "100,000 lists or dicts in one another"]),
        (put(MANIFEST, b"[]"), [MANIFEST]),
        (setting("format", "wav"), ["format", "'wav'", "atesc-recording"]),
        (setting("version", 2), ["version", "2", "newer lab"]),
        (setting("version", "1"), ["version"]),
        (setting("extra", 1), ["extra"]),
        (setting("runs.0.spec.epochs", 0), ["runs.0.spec.epochs", "0"]),
        (setting("runs.0.epochs.0.metrics.iacc", 101), ["metrics.iacc", "101"]),
        (setting("runs.0.epochs.1.epoch", 1), ["epochs", "rising"]),
        (setting("runs.0.epochs.1.seconds", 1), ["epochs", "rising"]),
        (setting("runs.0.teacher.setting", "open"), ["epochs", "olacc"]),
        (with_manifest(lambda manifest: manifest["runs"].append(manifest["runs"][0])), ["runs", "each once"]),
        (setting("runs.0.teacher.target", 2), ["target", "2"]),
        (setting("runs.0.teacher.name", "<script>"), ["teacher.name", "<script>"]),
        (setting("runs.0.teacher.image_side", 100_000), ["image_side", "100000"]),
        (setting("runs.0.snapshots.0.images", 512), [IMAGES, "expected 98304"]),
        (setting("border.pairs.0.label", 2), ["border", "label"]),
        (setting("first.steps.0.losses", {"__class__": 1}), ["losses", "__class__"]),
        (setting("batchnorm.teachers.0.mean", [0.5]), ["mean", "1 values", "expected 2"]),
        (setting("batchnorm.teachers.0.layers.0", "<b>"), ["layers", "<b>"]),
        (lambda members: members.pop(IMAGES), [IMAGES, "missing"]),
        (put(IMAGES, b"short"), [IMAGES, "5 bytes"]),
        (put("../../evil.py", b"import os"), ["../../evil.py", "no part of this recording"]),
        (put("/etc/passwd", b"root"), ["/etc/passwd", "no part of this recording"]),
        (put("runs/0/2/teacher_class", np.array([0, 1, 2], np.uint16)), ["runs/0/2/teacher_class", "a class below 2"]),
        (put("first/student_class", np.full((3, 2), 9, np.uint16)), ["first/student_class", "a class below 2"]),
        (
            put("runs/0/2/teacher_confidence", np.array([0, 1, np.nan], np.float32)),
            ["teacher_confidence", "probabilities"],
        ),
        (put("border/probs", np.full(8, -1, np.float32)), ["border/probs", "probabilities"]),
        (put("runs/0/2/min_eps", np.array([0, 1, np.nan], np.float32)), ["min_eps", "scores"]),
        (put("runs/0/2/margin", np.array([0, 1, np.inf], np.float32)), ["margin", "finite"]),
    ],
    ids=range(32),
)
def test_what_is_wrong_is_named(recording: Recording, change, named):
    with pytest.raises(RecordingError) as error:
        load(io.BytesIO(repacked(to_bytes(recording), change)))
    for word in named:
        assert word in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("share", [0.0, 0.2, 0.5, 0.99])
def test_a_cut_off_file_is_refused(recording: Recording, share: float):
    content = to_bytes(recording)
    with pytest.raises(RecordingError, match="damaged or not a recording"):
        load(io.BytesIO(content[: int(share * len(content))]))


def test_every_flipped_byte_is_refused_or_harmless(recording: Recording):
    """Whatever is damaged: the reader says so, or reads what was there."""
    content = to_bytes(recording)
    for place in range(0, len(content), 37):
        damaged = bytearray(content)
        damaged[place] ^= 0xFF
        try:
            back = load(io.BytesIO(bytes(damaged)))
        except RecordingError:
            continue
        assert all((back.arrays[name] == values).all() for name, values in recording.arrays.items())


def test_a_pickle_is_not_opened(tmp_path):
    np.savez(tmp_path / "x.npz", recording=np.array([{}], dtype=object))
    with pytest.raises(RecordingError, match="without recording.json"):
        load(tmp_path / "x.npz")


def test_a_bomb_that_says_what_it_is_is_not_unpacked(recording: Recording):
    with pytest.raises(RecordingError, match="when unpacked: .* expected at most"):
        load(io.BytesIO(repacked(to_bytes(recording), put("zeros", bytes(MAX_UNPACKED_BYTES + 1)))))


def test_a_bomb_that_says_it_is_small_is_unpacked_no_further_than_it_says(recording: Recording):
    """The archive's directory lies about the size of what it holds."""
    real = 3 * 3 * 8 * 8
    content = bytearray(repacked(to_bytes(recording), put(IMAGES, bytes(64 * 1024**2))))
    directory = content.index(b"PK\x01\x02", content.rindex(b"PK\x05\x06") - 4096)
    while content[directory : directory + 4] == b"PK\x01\x02":
        name, extra, comment = struct.unpack_from("<HHH", content, directory + 28)
        if content[directory + 46 : directory + 46 + name].decode() == IMAGES:
            struct.pack_into("<I", content, directory + 24, real)
        directory += 46 + name + extra + comment
    tracemalloc.start()
    try:
        with pytest.raises(RecordingError):
            load(io.BytesIO(bytes(content)))
        assert tracemalloc.get_traced_memory()[1] < 16 * 1024**2
    finally:
        tracemalloc.stop()


def test_a_name_that_is_there_twice_is_refused(recording: Recording):
    content = io.BytesIO(to_bytes(recording))
    with zipfile.ZipFile(content, "a") as archive, pytest.warns(UserWarning, match="Duplicate name"):
        archive.writestr(MANIFEST, b"{}")
    with pytest.raises(RecordingError, match="one name twice"):
        load(content)


def test_an_encrypted_or_oddly_packed_member_is_refused(recording: Recording):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr(MANIFEST, b"{}")
    with pytest.raises(RecordingError, match="stored or deflated"):
        load(packed)


def test_a_file_too_big_is_refused_before_it_is_read():
    class Endless(io.BytesIO):
        def seek(self, *place):
            return MAX_FILE_BYTES + 1

    with pytest.raises(RecordingError, match="expected at most"):
        load(Endless())


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(RecordingError, match="gone.atesc: no such file"):
        load(tmp_path / "gone.atesc")
