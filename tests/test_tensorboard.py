"""Event files, read back record by record."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from tensorboardX.proto.event_pb2 import Event
from tensorboardX.record_writer import masked_crc32c

from atesc_core.errors import UnknownRun
from atesc_core.tensorboard import export_events
from tests.figures.conftest import Lab, lab  # noqa: F401 - fixture


def events(folder: Path) -> list[Event]:
    [file] = folder.glob("events.out.tfevents.*")
    content, found = file.read_bytes(), []
    while content:
        (length, checked), body = struct.unpack("<QI", content[:12]), content[12:]
        assert checked == masked_crc32c(content[:8])
        assert struct.unpack("<I", body[length : length + 4])[0] == masked_crc32c(body[:length])
        found.append(Event.FromString(body[:length]))
        content = body[length + 4 :]
    return found


def scalars(folder: Path) -> dict[str, dict[int, float]]:
    found: dict[str, dict[int, float]] = {}
    for event in events(folder):
        for value in event.summary.value:
            if value.HasField("simple_value"):
                found.setdefault(value.tag, {})[event.step] = value.simple_value
    return found


def test_every_curve_is_there_at_its_round(lab: Lab, tmp_path):  # noqa: F811
    folder = export_events(lab.store, lab.atesc, tmp_path)
    assert folder == tmp_path / lab.atesc
    found, run = scalars(folder), lab.store.get(lab.atesc)
    epochs, steps = lab.store.epochs(run.id), lab.store.steps(run.id)
    assert found["accuracy/IAcc"] == pytest.approx(dict(zip([3, 6], epochs["iacc"], strict=True)))
    assert list(found["generator_loss/bn"]) == [1, 2, 3, 4, 5, 6]
    assert list(found["generator_loss/bn"].values()) == pytest.approx(steps["g/bn"].tolist())
    split = steps.dropna(subset=["fragile_share"])
    assert list(found["split/fragile_share"].values()) == pytest.approx(split["fragile_share"].tolist())
    assert all(step > 3 for step in found["split/fragile_share"])  # the first epoch splits nothing


def test_events_happened_when_they_did(lab: Lab, tmp_path):  # noqa: F811
    found = events(export_events(lab.store, lab.atesc, tmp_path))
    ends = lab.store.epochs(lab.atesc)["time"].tolist()
    assert [
        event.wall_time for event in found if event.summary.value and event.summary.value[0].tag == "accuracy/IAcc"
    ] == ends


def test_settings_and_images_are_there(lab: Lab, tmp_path):  # noqa: F811
    values = {
        value.tag: value
        for event in events(export_events(lab.store, lab.atesc, tmp_path))
        for value in event.summary.value
    }
    told = {tag: value.tensor.string_val[0].decode() for tag, value in values.items() if value.tensor.string_val}
    assert any("teacher: tiny" in text for text in told.values())
    assert any("atesc_core distill --teacher tiny" in text for text in told.values())
    assert values["synthetic_images"].image.encoded_image_string.startswith(b"\x89PNG")


def test_exporting_again_replaces_what_was_exported(lab: Lab, tmp_path):  # noqa: F811
    first = scalars(export_events(lab.store, lab.plain, tmp_path))
    assert scalars(export_events(lab.store, lab.plain, tmp_path)) == first


def test_an_unknown_run_is_named_and_nothing_is_written(lab: Lab, tmp_path):  # noqa: F811
    with pytest.raises(UnknownRun, match="zzzzzzzz"):
        export_events(lab.store, "zzzzzzzz", tmp_path)
    assert not list(tmp_path.iterdir())
