"""The app's server: its command line, ``python app.py`` and ``atesc-lab``, and what it does when it starts."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import streamlit as st
from streamlit.web.cli import main

from atesc_core.domains.folder import ALLOWED_VARIABLE
from atesc_core.errors import StoreError
from atesc_core.paths import APP
from atesc_core.runs import default_runs_dir, ensure_worker
from atesc_core.version import lab_version
from pages.shared.access import SIGN_IN_VARIABLE, announce, is_loopback
from pages.shared.streamlit_repairs import repair


def serve(arguments: list[str]) -> None:
    """Serve the app until it is stopped, as ``streamlit run app.py`` does; never returns.

    Args:
        arguments: options of this command, then Streamlit's own, for instance ``["--server.baseUrlPath", "lab"]``.
    """
    options, streamlit_options = _parser().parse_known_args(arguments)
    if options.runs_dir:
        os.environ["ATESC_RUNS_DIR"] = options.runs_dir
    for name in ("port", "address"):
        if (value := getattr(options, name)) is not None:
            streamlit_options.append(f"--server.{name}={value}")
    if options.no_browser:
        streamlit_options.append("--server.headless=true")
    if options.sign_in:
        os.environ[SIGN_IN_VARIABLE] = "1"
    if options.folders is not None:
        os.environ[ALLOWED_VARIABLE] = os.pathsep.join(options.folders)  # absolute, as workers run elsewhere
    if options.sign_in or not is_loopback(options.address or "127.0.0.1"):
        streamlit_options.append("--server.headless=true")  # the links with the tokens are printed
    sys.argv = ["streamlit", "run", str(APP), *streamlit_options]
    sys.exit(main())


@asynccontextmanager
async def starting(app: st.App) -> AsyncIterator[None]:
    """While the server starts: start workers for runs that wait, and print the links with the tokens."""
    repair()
    try:
        ensure_worker(default_runs_dir())
    except StoreError as error:  # every page says so too
        print(f"warning: {error}", file=sys.stderr, flush=True)
    async with announce(app):
        yield


def _port(text: str) -> int:
    """A port number. Raises ValueError, which argparse shows with the option's name."""
    if not 1 <= (port := int(text)) <= 65_535:
        raise argparse.ArgumentTypeError(f"{text!r}: expected a number from 1 to 65535")
    return port


def _folder(text: str) -> str:
    """The absolute path of a folder that exists. Raises ArgumentTypeError."""
    path = Path(text).expanduser().resolve()
    if not path.is_dir() or os.pathsep in str(path):
        raise argparse.ArgumentTypeError(f"{text!r}: expected a folder that exists, without {os.pathsep!r} in its path")
    return str(path)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="atesc-lab", description="Serves ATEsc Lab in your browser. Options of `streamlit run` are taken too."
    )
    parser.add_argument("--port", type=_port, help="port to listen on (8501)")
    parser.add_argument(
        "--address",
        help="address to listen on; 127.0.0.1 unless named: nobody else reaches the lab. At another, such as 0.0.0.0, "
        "visitors sign in with a token; the links are printed ($ATESC_TOKEN and $ATESC_VIEWER_TOKEN choose them)",
    )
    parser.add_argument("--sign-in", action="store_true", help="visitors sign in at any address: for a proxy in front")
    parser.add_argument(
        "--folders",
        nargs="*",
        type=_folder,
        metavar="FOLDER",
        help="folders whose images may become domains. Any folder of this machine where nobody signs in; else none",
    )
    parser.add_argument("--runs-dir", help="folder of runs and teachers; also $ATESC_RUNS_DIR")
    parser.add_argument("--no-browser", action="store_true", help="do not open a browser window")
    parser.add_argument("--version", action="version", version=lab_version())
    return parser
