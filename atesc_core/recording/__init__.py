"""Recordings: one or more runs as a small file that is replayed without computing. Only scenes.py imports torch."""

from atesc_core.errors import NotRecordableError, RecordingError
from atesc_core.recording.file import load, save
from atesc_core.recording.manifest import Border, FirstSteps, Manifest, RecordedRun, Recording, SnapshotArrays
from atesc_core.recording.writer import record

__all__ = [
    "NotRecordableError",
    "Border",
    "FirstSteps",
    "RecordedRun",
    "Manifest",
    "RecordingError",
    "Recording",
    "SnapshotArrays",
    "load",
    "record",
    "save",
]
