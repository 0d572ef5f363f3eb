"""A repair of Streamlit: what a click drew was lost if a timer asked for a rerun just as the click's own run ended.

A session's script runs in a thread, the ScriptRunner, which posts what the script draws to the server's event loop. A
thread that has nothing left to run refuses the next request, and AppSession starts another. From then on it ignores
whatever the loop has not yet handled of the first one: the last run's whole output, if the request came quickly enough.
The page then shows what was there before the click, until the same fragment runs again. A page with a live run asks
for a rerun every second, so on a busy machine this was seen again and again (Streamlit 1.67).
A request to run the whole page loses nothing, because it draws everything again.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from streamlit.runtime import app_session

if TYPE_CHECKING:
    from streamlit.runtime.app_session import AppSession
    from streamlit.runtime.scriptrunner_utils.script_requests import RerunData

_start: Any = getattr(app_session.AppSession, "_create_scriptrunner", None)
_waiting: WeakKeyDictionary[AppSession, deque[RerunData]] = WeakKeyDictionary()


def deliver_output_before_rerun() -> None:
    """From now on a fragment's request starts a ScriptRunner only after the last one's output was handled."""
    app_session.AppSession._create_scriptrunner = _start_in_turn  # type: ignore[method-assign, assignment]


def _start_in_turn(session: AppSession, request: RerunData) -> None:
    waiting = _waiting.setdefault(session, deque())
    if session._scriptrunner is None and not waiting:
        _start(session, request)
        return
    waiting.append(request)
    # The thread posted its output before it refused, and the loop calls back in order: so the output comes first. Later
    # requests queue up behind, because they hold newer values of the page's widgets.
    session._event_loop.call_soon(_start_next, session)


def _start_next(session: AppSession) -> None:
    request = _waiting[session].popleft()
    if session._state == app_session.AppSessionState.SHUTDOWN_REQUESTED:
        return
    if session._scriptrunner is not None and session._scriptrunner.request_rerun(request):
        return
    try:
        _start(session, request)
    except Exception as error:  # noqa: BLE001 - as where the request came from: the browser shows it
        session.handle_backmsg_exception(error)
