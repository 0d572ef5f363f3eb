"""The errors that pages and commands catch. It imports nothing, so that catching an error needs no PyTorch."""


class SpecError(ValueError):
    """A setting is wrong; the message names the field, the value and what was expected."""


class DomainError(ValueError):
    """A domain or a pair is not available; the message names it, the problem, and what was expected."""


class TeacherError(ValueError):
    """A teacher cannot be used; the message names the problem, and what was expected."""


class StoreError(RuntimeError):
    """The runs folder cannot be used; the message says why."""


class UnknownRunError(StoreError):
    """There is no run with this id."""


class DamagedSnapshotError(StoreError):
    """A file of synthetic images turned out to be damaged. From now on lists leave its epoch out."""


class RunBusyError(StoreError):
    """The run is on a device and cannot be deleted."""


class ReadOnlyError(StoreError):
    """This visitor may look at the runs, and change nothing."""


class LimitError(StoreError):
    """Nothing more may be started or stored; the message names the bound and how to make room."""


class TrialError(ValueError):
    """A trial is not possible on the run, or not with these values; the message says why."""


class FigureNotReadyError(ValueError):
    """The figure has no data yet; the message says what is missing."""


class BrowserMissingError(RuntimeError):
    """There is no Chromium to draw with; the message says what to install. The CSV needs none."""


class RenderError(RuntimeError):
    """The browser did not draw the figure, not even after a restart."""


class DrawingStoppedError(RuntimeError):
    """The drawing was stopped."""


class RecordingError(ValueError):
    """A file is not a valid recording; the message names the problem and what was expected."""


class NotRecordableError(ValueError):
    """These runs cannot be recorded; the message names the problem and what was expected."""
