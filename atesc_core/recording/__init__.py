"""A run, or a few, as one small file that is replayed where nothing is computed. Imports no torch; scenes.py does."""

from atesc_core.recording.file import RecordingError, load, save
from atesc_core.recording.make import BadRecording, record
from atesc_core.recording.tape import Border, FirstSteps, Pictures, RecordedRun, Recording, Tape

__all__ = ["BadRecording", "Border", "FirstSteps", "Pictures", "RecordedRun", "Recording", "RecordingError", "Tape",
           "load", "record", "save"]
