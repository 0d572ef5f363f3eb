"""A repair of Streamlit: a press on a download button was lost if the button was drawn again at the same moment.

Each time a download button is drawn, its function gets another id, and the last one is forgotten with the run that drew
the new one. A browser that still shows the old button asks for an id that is gone, and nothing happens. The file that
the function made is deleted with the second run after it, even if the browser has not fetched it yet. Both happened on
a page that draws itself anew every second.
"""

from __future__ import annotations

import time
from typing import Any
from weakref import WeakKeyDictionary

from streamlit.runtime import media_file_manager
from streamlit.runtime.media_file_manager import MediaFileManager, MediaFileMetadata
from streamlit.runtime.media_file_storage import MediaFileKind

FETCH_S = 60.0  # a file is kept for so long after nothing refers to it any more
_add: Any = getattr(MediaFileManager, "add_deferred", None)
_inactive: Any = getattr(MediaFileManager, "_get_inactive_file_ids", None)
_inactive_since: WeakKeyDictionary[MediaFileMetadata, float] = WeakKeyDictionary()


def keep_downloads_while_redrawing() -> None:
    """From now on a download button keeps its id while it is drawn again, and its file waits for the browser."""
    MediaFileManager.add_deferred = _add_or_replace  # type: ignore[method-assign, assignment]
    MediaFileManager._get_inactive_file_ids = _long_inactive  # type: ignore[method-assign, assignment]


def _add_or_replace(
    manager: MediaFileManager,
    data_callable: Any,
    mimetype: str | None,
    coordinates: str,
    file_name: str | None = None,
    *,
    element_id: str = "",
) -> str:
    """The id of the button's function. It replaces the one of the same button in this session."""
    session_id = media_file_manager._get_session_id()
    with manager._lock:
        for file_id in manager._deferred_ids_by_session.get(session_id, ()) if element_id else ():
            entry = manager._deferred_callables[file_id]
            if entry["element_id"] == element_id:
                entry |= {
                    "callable": data_callable,
                    "mimetype": mimetype,
                    "filename": file_name,
                    "coordinates": coordinates,
                }
                manager._files_by_session_and_coord[session_id][coordinates] = file_id
                return file_id
    added: str = _add(manager, data_callable, mimetype, coordinates, file_name, element_id=element_id)
    return added


def _long_inactive(manager: MediaFileManager) -> set[str]:
    """The files that nothing refers to; those to download only once the browser has had time to fetch them."""
    now, found = time.monotonic(), set()
    for file_id in _inactive(manager):
        metadata = manager._file_metadata[file_id]
        since = _inactive_since.setdefault(metadata, now)
        if metadata.kind != MediaFileKind.DOWNLOADABLE or now - since > FETCH_S:
            found.add(file_id)
    return found
