"""Event files, read back record by record."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from tensorboardX.proto.event_pb2 import Event
from tensorboardX.record_writer import masked_crc32c

from atesc_core.errors import UnknownRunError
from atesc_core.tensorboard import export_events
from tests.support.figure_labs import FiguresLab


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


def test_every_curve_is_there_at_its_round(figures_lab: FiguresLab, tmp_path):
    folder = export_events(figures_lab.store, figures_lab.atesc, tmp_path)
    assert folder == tmp_path / figures_lab.atesc
    found, run = scalars(folder), figures_lab.store.get(figures_lab.atesc)
    epochs, steps = figures_lab.store.epochs(run.id), figures_lab.store.rounds(run.id)
    assert found["accuracy/IAcc"] == pytest.approx(dict(zip([3, 6], epochs["iacc"], strict=True)))
    assert list(found["generator_loss/bn"]) == [1, 2, 3, 4, 5, 6]
    assert list(found["generator_loss/bn"].values()) == pytest.approx(steps["g/bn"].tolist())
    split = steps.dropna(subset=["fragile_share"])
    assert list(found["split/fragile_share"].values()) == pytest.approx(split["fragile_share"].tolist())
    assert all(step > 3 for step in found["split/fragile_share"])  # the first epoch splits nothing


def test_events_happened_when_they_did(figures_lab: FiguresLab, tmp_path):
    found = events(export_events(figures_lab.store, figures_lab.atesc, tmp_path))
    ends = figures_lab.store.epochs(figures_lab.atesc)["time"].tolist()
    assert [
        event.wall_time for event in found if event.summary.value and event.summary.value[0].tag == "accuracy/IAcc"
    ] == ends


def test_settings_and_images_are_there(figures_lab: FiguresLab, tmp_path):
    values = {
        value.tag: value
        for event in events(export_events(figures_lab.store, figures_lab.atesc, tmp_path))
        for value in event.summary.value
    }
    told = {tag: value.tensor.string_val[0].decode() for tag, value in values.items() if value.tensor.string_val}
    assert any("teacher: tiny" in text for text in told.values())
    assert any("atesc distill --teacher tiny" in text for text in told.values())
    assert values["synthetic_images"].image.encoded_image_string.startswith(b"\x89PNG")


def test_exporting_again_replaces_what_was_exported(figures_lab: FiguresLab, tmp_path):
    first = scalars(export_events(figures_lab.store, figures_lab.plain, tmp_path))
    assert scalars(export_events(figures_lab.store, figures_lab.plain, tmp_path)) == first


def test_an_unknown_run_is_named_and_nothing_is_written(figures_lab: FiguresLab, tmp_path):
    with pytest.raises(UnknownRunError, match="zzzzzzzz"):
        export_events(figures_lab.store, "zzzzzzzz", tmp_path)
    assert not list(tmp_path.iterdir())
