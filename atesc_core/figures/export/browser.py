"""One Chromium process that stays open and draws: a plotly figure to SVG, an SVG to PDF or PNG.

Kaleido draws plotly figures as SVG. Its sync server is not used, because it can hang, or give one thread the picture
of another (plotly/Kaleido issue 441); one thread of this module uses the documented class ``Kaleido`` instead. Its PDF
and PNG are not used either: it puts the SVG into an ``<img>``, where only the system's fonts are available.
"""

from __future__ import annotations

import asyncio
import atexit
import base64
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from concurrent.futures import TimeoutError as Late
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import plotly.graph_objects as go
import psutil

from atesc_core.errors import BrowserMissingError, DrawingStoppedError, RenderError
from atesc_core.figures import theme
from atesc_core.figures.export import fonts

if TYPE_CHECKING:
    from choreographer import Tab
    from kaleido import Kaleido

SECONDS = 60.0  # a browser that needs longer for one figure counts as dead


def find_browser() -> Path:
    """Chromium or a browser based on it: BROWSER_PATH, then Kaleido's own download, then PATH.

    Raises:
        BrowserMissingError: There is none.
    """
    from choreographer.browsers.chromium import Chromium

    path = Chromium.find_browser(skip_local=False)
    if path and Path(path).is_file():
        return Path(path)
    problem = f"BROWSER_PATH names {path!r}, which is not a file" if path else "no Chromium, Chrome or Edge was found"
    raise BrowserMissingError(
        f"PDF, SVG and PNG are drawn by a browser: {problem}. Install one with 'apt install chromium' on Debian, "
        "'brew install --cask chromium' on a Mac, or 'kaleido_get_chrome' anywhere. The CSV needs none."
    )


def draw(figure: go.Figure, stop: threading.Event | None = None) -> str:
    """The figure as an SVG with the figure's width and height in px.

    Args:
        figure: A Plotly figure.
        stop: To end the drawing, set it and close the browser, which cannot be interrupted.

    Raises:
        BrowserMissingError: There is no browser.
        RenderError: The browser could not draw the figure.
        DrawingStoppedError: ``stop`` was set.
    """
    options = {"format": "svg", "width": figure.layout.width, "height": figure.layout.height, "scale": 1}
    return _drawn(lambda browser: browser.kaleido.calc_fig(figure.to_dict(), opts=options), stop).decode()


def print_svg(
    svg: str, kind: Literal["pdf", "png"], width: float, height: float, dpi: float = theme.PX_PER_INCH
) -> bytes:
    """An SVG of ``width`` x ``height`` px as one page, or as pixels. Raises BrowserMissingError, RenderError."""
    page = (
        f"<!DOCTYPE html><style>@page{{size:{width}px {height}px;margin:0}}html,body{{margin:0;background:#FFF}}"
        f"body>svg{{display:block;width:{width}px;height:{height}px}}</style>{svg}"
    )
    return _drawn(lambda browser: _render_page(browser.kaleido, page, kind, width, height, dpi))


def close_browser(browser: _Browser | None = None, *, at_once: bool = False) -> None:
    """Close the current browser; the next figure starts a new one.

    Args:
        browser: Close the current browser only if it is this one.
        at_once: Kill it, as it may be busy.
    """
    global _browser
    with _starting:
        if _browser is None or (browser is not None and browser is not _browser):
            return
        closing, _browser = _browser, None
    closing.close(at_once)


class _Browser:
    """One Chromium process and the thread that controls it. Any thread may call ``do``."""

    def __init__(self) -> None:
        self.closed = False
        self._waiting: set[Future[Any]] = set()
        self.loop = asyncio.new_event_loop()
        threading.Thread(target=self.loop.run_forever, name="figure-export", daemon=True).start()
        try:
            self.kaleido: Kaleido = self.do(_open(find_browser()))
        except BaseException:
            self.loop.call_soon_threadsafe(self.loop.stop)
            raise

    def do(self, work: Any) -> Any:
        answer = asyncio.run_coroutine_threadsafe(work, self.loop)
        self._waiting.add(answer)
        if self.closed:  # after the caller got it
            answer.cancel()
        try:
            return answer.result(SECONDS)
        finally:
            self._waiting.discard(answer)

    def close(self, at_once: bool = False) -> None:
        """Close it. All waiting callers get a CancelledError at once."""
        self.closed = True
        self.loop.set_exception_handler(lambda loop, context: None)  # the cancelled futures already tell the callers
        for answer in list(self._waiting):
            answer.cancel()
        left = self._processes()
        if at_once:
            _kill(left)
        try:
            asyncio.run_coroutine_threadsafe(self.kaleido.close(), self.loop).result(10)
        except Exception:  # noqa: BLE001 - its state no longer matters
            pass
        finally:
            _kill(left)
            self.loop.call_soon_threadsafe(self.loop.stop)

    def _processes(self) -> list[psutil.Process]:
        with suppress(psutil.NoSuchProcess):
            first = psutil.Process(self.kaleido.subprocess.pid)
            return [first, *first.children(recursive=True)]
        return []


def _kill(processes: list[psutil.Process]) -> None:
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.kill()


async def _open(path: Path) -> Kaleido:
    import kaleido

    class Page(kaleido.PageGenerator):  # type: ignore[misc]  # kaleido has no types
        # Plotly measures text on this page, so the page must have the fonts.
        header = kaleido.PageGenerator.header.replace("</title>", f"</title><script>{fonts.face_script()}</script>")

    # Without mathjax=False, each start waits for a download.
    browser = kaleido.Kaleido(path=path, timeout=SECONDS, page_generator=Page(mathjax=False))
    await browser.open()
    return browser


async def _render_page(browser: Kaleido, page: str, kind: str, width: float, height: float, dpi: float) -> bytes:
    """Open the page in a new tab, and print it or take a screenshot once its fonts are loaded."""
    tab = await browser.create_tab("about:blank")
    try:
        frame = (await _send(tab, "Page.getFrameTree"))["frameTree"]["frame"]["id"]
        await _send(tab, "Page.setDocumentContent", frameId=frame, html=page)
        await _send(tab, "Runtime.evaluate", expression="document.fonts.ready.then(() => 0)", awaitPromise=True)
        if kind == "pdf":
            no_margins = dict.fromkeys(("marginTop", "marginBottom", "marginLeft", "marginRight"), 0)
            answer = await _send(
                tab,
                "Page.printToPDF",
                printBackground=True,
                preferCSSPageSize=True,
                pageRanges="1",
                generateTaggedPDF=False,
                **no_margins,
            )
        else:
            await _send(
                tab,
                "Emulation.setDeviceMetricsOverride",
                width=round(width),
                height=round(height),
                deviceScaleFactor=dpi / theme.PX_PER_INCH,
                mobile=False,
            )
            answer = await _send(
                tab,
                "Page.captureScreenshot",
                format="png",
                captureBeyondViewport=True,
                clip={"x": 0, "y": 0, "width": width, "height": height, "scale": 1},
            )
        return base64.b64decode(answer["data"])
    finally:
        await browser.close_tab(tab.target_id)


async def _send(tab: Tab, command: str, **parameters: Any) -> dict[str, Any]:
    answer = await tab.send_command(command, parameters)
    if "error" in answer or "exceptionDetails" in answer["result"]:
        raise RenderError(f"figure: the browser refused {command}: {answer.get('error') or answer['result']}")
    result: dict[str, Any] = answer["result"]
    return result


_browser: _Browser | None = None
_starting = threading.Lock()
_leaving = False


@atexit.register
def _leave() -> None:
    global _leaving
    _leaving = True
    close_browser()


def _running() -> _Browser:
    global _browser
    with _starting:
        if _leaving:
            raise RenderError("figure: the lab is closing")
        if _browser is None:
            _browser = _Browser()
        return _browser


def _drawn(work: Callable[[_Browser], Coroutine[Any, Any, bytes]], stop: threading.Event | None = None) -> bytes:
    """The result of ``work`` in the browser. Starts a new browser once after a crash, and always after a close."""
    from kaleido.errors import KaleidoError

    died = False
    while stop is None or not stop.is_set():
        browser = _running()
        try:
            drawn: bytes = browser.do(work(browser))
            return drawn
        except KaleidoError as error:  # the browser works, but cannot draw the figure
            raise RenderError(f"figure: the browser could not draw it: {error}") from error
        except RenderError:
            raise
        except (Exception, Late) as error:
            if browser.closed:  # because this drawing, or another one, was stopped
                continue
            close_browser(browser)
            if died:
                raise RenderError(f"figure: the browser gave nothing, twice: {error!r}") from error
            died = True
    raise DrawingStoppedError("figure: its drawing was stopped")
