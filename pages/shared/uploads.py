"""A bound on uploaded files, which the server holds in memory until their visitors leave or remove them."""

from __future__ import annotations

import os
from contextlib import suppress

from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send
from streamlit import runtime
from streamlit.runtime.stats import CacheStat

from pages.shared.access import UPLOADS, path_of

VARIABLE = "ATESC_MAX_UPLOADS_MB"
MAX_MB = 1024.0  # of all visitors together, without the variable


def held_bytes() -> int:
    """Bytes of all uploaded files that the server holds."""
    if not runtime.exists():
        return 0
    stats = runtime.get_instance().uploaded_file_mgr.get_stats()
    return sum(stat.byte_length for family in stats.values() for stat in family if isinstance(stat, CacheStat))


def max_bytes() -> int:
    """Bytes that all visitors together may have uploaded; MAX_MB unless the variable is a number above 0."""
    with suppress(ValueError):
        megabytes = float(os.environ.get(VARIABLE, ""))
        if 0 < megabytes < 1e9:
            return int(megabytes * 1e6)
    return int(MAX_MB * 1e6)


class UploadBound:
    """Middleware that refuses a file if the server would then hold more than ``max_bytes``."""

    def __init__(self, app: ASGIApp):
        self.app = app
        self._arriving = 0  # bytes that are being sent

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or refuse it before its content is read."""
        if scope["type"] != "http" or scope["method"] not in ("PUT", "POST") or not path_of(scope).startswith(UPLOADS):
            await self.app(scope, receive, send)
            return
        length = Request(scope).headers.get("content-length", "")
        if not length.isdecimal():
            await PlainTextResponse("Say the length of the file.", 411)(scope, receive, send)
            return
        taken, most = held_bytes() + self._arriving, max_bytes()
        if taken + int(length) > most:
            text = (
                f"upload: the file has {int(length) / 1e6:,.1f} MB. Visitors hold or send {taken / 1e6:,.1f} MB "
                f"already, of {most / 1e6:,.0f} MB for all together. "
                + (f"Raise ${VARIABLE}." if int(length) > most else f"Try again later, or raise ${VARIABLE}.")
            )
            await PlainTextResponse(text, 413)(scope, receive, send)
            return
        self._arriving += int(length)
        try:
            await self.app(scope, receive, send)
        finally:
            self._arriving -= int(length)
