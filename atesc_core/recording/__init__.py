"""A run, or a few, as one small file that is replayed where nothing is computed. Imports no torch; scenes.py does."""

from atesc_core.recording.file import RecordingError, load, save
from atesc_core.recording.manifest import Border, FirstSteps, Pictures, RecordedRun, Recording, Tape
from atesc_core.recording.writer import BadRecording, record

__all__ = [
    "BadRecording",
    "Border",
    "FirstSteps",
    "Pictures",
    "RecordedRun",
    "Recording",
    "RecordingError",
    "Tape",
    "load",
    "record",
    "save",
]
