"""Jobs that run a function in a thread of this process."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

from atesc_core.jobs.job import Job

Value = TypeVar("Value")


class ThreadJob(Job, Generic[Value]):
    """``function(job)`` in a thread.

    A thread cannot be ended from outside: the function checks ``job.stop_requested``, and ``on_stop`` may help it, for
    example by closing the browser that it waits for. The state becomes ``stopped`` at once, before the thread ends.

    Args:
        key: The name of the work.
        function: Does the work; it may call ``job.report``.
        on_stop: Called when the job is stopped, in the thread that calls ``stop``: it must not take long.
    """

    def __init__(
        self, key: str, function: Callable[[ThreadJob[Value]], Value], on_stop: Callable[[], object] = lambda: None
    ) -> None:
        super().__init__(key)
        self._function: Callable[[ThreadJob[Value]], Value] | None = function
        self._on_stop = on_stop
        self._value: Value | None = None
        self._exception: BaseException | None = None

    def result(self) -> Value:
        """What the function returned, once the job has ended. Raises what the function raised.

        Raises:
            RuntimeError: The job has not ended, or was stopped.
        """
        if self.state == "failed" and self._exception is not None:
            raise self._exception
        if self.state != "done":
            raise RuntimeError(f"job {self.key}: {self.state}; expected done")
        return self._value  # type: ignore[return-value]  # set when the state is done

    def _run(self) -> None:
        function = self._function
        assert function is not None
        try:
            self._value = function(self)
        except BaseException as error:
            self._exception = error
            raise

    def _release(self) -> None:
        self._function = None
        if self._exception is not None:
            self._exception.with_traceback(None)  # whose frames hold the data of the work

    def _interrupt(self) -> None:
        self._on_stop()
        self._end("stopped")
