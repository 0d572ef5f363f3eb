"""Who reaches the lab over a network, and as what: sign-in with a token, as Jupyter does it.

A server that listens on this machine only asks nobody. Any other asks each visitor for a token. The owner's token
permits everything; the viewer's, for a class, permits looking only (pages/shared/state/visitor.py). Where Streamlit's
own sign-in (OpenID Connect, the section ``[auth]`` of secrets.toml) is configured, that decides instead.
"""

from __future__ import annotations

import functools
import hashlib
import hmac
import ipaddress
import os
import secrets
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from enum import StrEnum
from html import escape
from pathlib import Path
from urllib.parse import parse_qs

import streamlit as st
from starlette.requests import HTTPConnection, Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send
from streamlit.runtime.secrets import secrets_singleton
from streamlit.web.server.server_util import get_cookie_secret
from streamlit.web.server.starlette.starlette_app_utils import decode_signed_value
from streamlit.web.server.starlette.starlette_server_config import USER_COOKIE_NAME

from atesc_core.domains.folder import ALLOWED_VARIABLE
from atesc_core.paths import ASSETS

SIGN_IN_VARIABLE = "ATESC_SIGN_IN"  # set: visitors sign in, whatever the address
TOKEN_VARIABLES = {"owner": "ATESC_TOKEN", "viewer": "ATESC_VIEWER_TOKEN"}
MIN_CHARACTERS = 16  # of a token that somebody chose
COOKIE_DAYS = 30
HEALTH = "_stcore/health"  # what a monitor asks for; tells nothing about the lab
UPLOADS = "_stcore/upload_file/"
SIGN_OUT = "sign-out"
MAX_FORM_BYTES = 4096


class Role(StrEnum):
    """What a visitor may do."""

    OWNER = "owner"  # everything
    VIEWER = "viewer"  # look at everything, start and change nothing


class AccessError(ValueError):
    """The server may not start as asked; the message says why."""


@dataclass(frozen=True)
class Access:
    """How visitors sign in: ``tokens`` by role, empty where nobody is asked; ``by_provider`` for OpenID Connect."""

    tokens: Mapping[Role, str]
    by_provider: bool = False

    @property
    def cookie(self) -> str:
        """The name of the cookie with the token. It has the port, as browsers send a cookie to all ports of a host."""
        return f"atesc_lab_{st.get_option('server.port')}"

    def role(self, token: str | None) -> Role | None:
        """The role of whoever has this token, or None."""
        return _find(token, self.tokens)

    def role_of_cookie(self, cookie: str | None) -> Role | None:
        """The role of whoever has this cookie, or None. A cookie is made from a token, and does not tell it."""
        return _find(cookie, {role: cookie_of(token) for role, token in self.tokens.items()})


def _find(given: str | None, known: Mapping[Role, str]) -> Role | None:
    """The role whose text this is, compared in constant time; None if it is nobody's."""
    text = (given or "").encode()
    return next((role for role, each in known.items() if hmac.compare_digest(text, each.encode())), None)


def cookie_of(token: str) -> str:
    """The value of the cookie of whoever has signed in with this token."""
    return hmac.new(token.encode(), b"cookie of ATEsc Lab", hashlib.sha256).hexdigest()


@functools.cache
def access() -> Access:
    """How visitors of this server sign in, from Streamlit's options and the environment.

    Where they do, no folder becomes a domain unless it was named with the start.

    Raises:
        AccessError: a token of the environment is too short, or both are the same; there are secrets that cannot be
            read, so that whether accounts decide is not known.
    """
    found = _access()
    if found.by_provider or found.tokens:
        os.environ.setdefault(ALLOWED_VARIABLE, "")
    return found


def _access() -> Access:
    if secrets_singleton.load_if_toml_exists():
        if "auth" in secrets_singleton:
            return Access({}, by_provider=True)
    elif present := [path for path in st.get_option("secrets.files") if Path(path).is_file()]:
        raise AccessError(
            f"{present[0]}: cannot be read; expected TOML. Whether visitors sign in is not known without it"
        )
    sign_in_requested = bool(os.environ.get(SIGN_IN_VARIABLE) or os.environ.get(TOKEN_VARIABLES["owner"]))
    if not sign_in_requested and is_loopback(st.get_option("server.address")):
        return Access({})
    tokens = {role: os.environ.get(TOKEN_VARIABLES[role]) for role in Role}
    for role, token in tokens.items():
        if token is not None and len(token) < MIN_CHARACTERS:
            raise AccessError(
                f"{TOKEN_VARIABLES[role]} has {len(token)} characters; expected at least {MIN_CHARACTERS}, as whoever "
                "guesses it enters the lab. Without this variable the server makes a token and prints it."
            )
    if tokens[Role.OWNER] is not None and tokens[Role.OWNER] == tokens[Role.VIEWER]:
        raise AccessError("ATESC_TOKEN and ATESC_VIEWER_TOKEN are the same; expected two different tokens")
    return Access({role: token or secrets.token_urlsafe(24) for role, token in tokens.items()})


def is_loopback(address: str | None) -> bool:
    """Whether a server at this address is reached from its own machine only. None is Streamlit's "all addresses"."""
    try:
        return address == "localhost" or ipaddress.ip_address(address or "0.0.0.0").is_loopback
    except ValueError:  # another host name
        return False


@asynccontextmanager
async def announce(app: st.App) -> AsyncIterator[None]:
    """While the server starts, print the links with the tokens."""
    address, port = st.get_option("server.address"), st.get_option("server.port")
    if address in (None, "", "0.0.0.0", "::"):
        address = socket.gethostname()
    scheme = "https" if st.get_option("server.sslCertFile") else "http"
    base = "/".join(part for part in (f"{scheme}://{address}:{port}", st.get_option("server.baseUrlPath")) if part)
    for role, token in access().tokens.items():
        if TOKEN_VARIABLES[role] in os.environ:
            token = f"(${TOKEN_VARIABLES[role]})"
        purpose = {Role.OWNER: "To work in the lab", Role.VIEWER: "To look only"}[role]
        print(f"  {purpose + ':':<20} {base}/?token={token}", flush=True)
    yield


class SignIn:
    """Middleware that lets through only visitors who have a token, or who come from this machine if there is none.

    It covers everything that the server gives: pages, the connection that runs them, uploads, and figures.
    """

    def __init__(self, app: ASGIApp, access: Access):
        self.app, self.access = app, access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the connection on, or answer it."""
        if scope["type"] not in ("http", "websocket") or self._may_enter(HTTPConnection(scope)):
            await self.app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008, "reason": "sign in first"})
        else:
            answer = await self._answer(Request(scope, receive))
            await answer(scope, receive, send)

    def _may_enter(self, connection: HTTPConnection) -> bool:
        path = path_of(connection.scope)
        if path == HEALTH and connection.scope["type"] == "http":
            return True
        if self.access.by_provider:
            return not path.startswith(UPLOADS) or _has_account(connection)
        if not self.access.tokens:  # the name that the visitor typed, too: a foreign one may lead here (DNS rebinding)
            return is_loopback(connection.client and connection.client.host) and is_loopback(connection.url.hostname)
        role = self.access.role_of_cookie(connection.cookies.get(self.access.cookie))
        if role is None or "token" in connection.query_params or path == SIGN_OUT:
            return False
        return role is Role.OWNER or not path.startswith(UPLOADS)

    async def _answer(self, request: Request) -> Response:
        """The sign-in page, or with a token that is known the way in."""
        if not self.access.tokens:
            return PlainTextResponse("Sign in first." if self.access.by_provider else FOR_ITS_OWN_MACHINE, 403)
        if path_of(request.scope) == SIGN_OUT:
            answer: Response = RedirectResponse("./", 303)
            answer.delete_cookie(self.access.cookie)
            return answer
        if path_of(request.scope).startswith(UPLOADS):
            return PlainTextResponse("Only the owners of this lab may upload files.", 403)
        token = request.query_params.get("token")
        if request.method == "POST":
            token = await _typed_token(request)
        if self.access.role(token) is None:
            text = "" if token is None else "This is not a token of this lab, or no longer."
            return HTMLResponse(SIGN_IN_PAGE.replace("{message}", escape(text)), 401)
        # A path only, with one slash: the visitor stays on this host.
        url = request.url.remove_query_params("token")
        answer = RedirectResponse("/" + url.path.lstrip("/") + (f"?{url.query}" if url.query else ""), 303)
        answer.set_cookie(
            self.access.cookie,
            cookie_of(token or ""),
            max_age=COOKIE_DAYS * 86_400,
            httponly=True,
            samesite="lax",
            secure=request.url.scheme == "https",
        )
        return answer


def path_of(scope: Scope) -> str:
    """The path that is asked for, below the server's base path, without a slash before it."""
    base = str(st.get_option("server.baseUrlPath") or "").strip("/")
    return str(scope["path"]).lstrip("/").removeprefix(base).lstrip("/")


async def _typed_token(request: Request) -> str:
    """The token in the form of the sign-in page."""
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > MAX_FORM_BYTES:
            return ""
    return parse_qs(body.decode(errors="replace")).get("token", [""])[0].strip()


def _has_account(connection: HTTPConnection) -> bool:
    """Whether the connection has the cookie that Streamlit signs for an account that has signed in."""
    cookie = connection.cookies.get(USER_COOKIE_NAME, "").encode("latin-1", errors="replace")
    return decode_signed_value(get_cookie_secret(), USER_COOKIE_NAME, cookie) is not None


FOR_ITS_OWN_MACHINE = """\
This lab is open to the machine that it runs on, as localhost or 127.0.0.1, and to nobody else.
Whoever runs it opens it to others with: atesc-lab --address 0.0.0.0 (or --sign-in behind a proxy). It then asks \
visitors for a token.
"""
SIGN_IN_PAGE = (ASSETS / "appearance" / "sign_in.html").read_text()
