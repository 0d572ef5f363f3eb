"""The errors that pages and commands catch. This module imports nothing, so that catching one needs no PyTorch."""


class SpecError(ValueError):
    """A setting is wrong; the message names the field, the value and what was expected."""


class DomainError(ValueError):
    """A domain or a pair cannot be had; the message names it, what was wrong, and what was expected."""


class TeacherError(ValueError):
    """A teacher cannot be used; the message names what was wrong, and what was expected."""


class StoreError(RuntimeError):
    """The runs folder cannot be used; the message says why."""


class UnknownRunError(StoreError):
    """There is no run of this id."""


class RunBusyError(StoreError):
    """The run is on a device and cannot be deleted."""


class TrialError(ValueError):
    """No threshold can be tried on the run, or not this one; the message says why."""


class FigureNotReadyError(ValueError):
    """The figure has no data so far; the message says what it waits for."""


class BrowserMissingError(RuntimeError):
    """There is no Chromium to draw with; the message says what to install. The CSV needs none."""


class RenderError(RuntimeError):
    """The browser did not give the figure, not even after a fresh start."""


class DrawingStoppedError(RuntimeError):
    """Somebody stopped the drawing."""


class RecordingError(ValueError):
    """A file is no recording that can be played; the message says what was found and what was expected."""


class NotRecordableError(ValueError):
    """What was asked to be recorded cannot be; the message names it, and what was expected."""
