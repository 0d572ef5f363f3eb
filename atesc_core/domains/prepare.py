"""Prepare a domain in a separate process: download what it needs, or read a folder's images.

    python -m atesc_core.domains.prepare NAME

prints its progress as JSON lines and ends with status 0 once the domain can be loaded; else the last line on stderr
gives the reason. If it is stopped, it leaves no incomplete files behind.
"""

from __future__ import annotations

import argparse
import signal
import sys
from contextlib import closing

from atesc_core.domains import DOMAINS, fetch_domain
from atesc_core.domains.catalogue import read_arrays
from atesc_core.domains.downloads import ARCHIVES, Fetching, present
from atesc_core.domains.folder import CHECK_SIDE, is_folder, prepare_folder
from atesc_core.errors import DomainError
from atesc_core.jobs import report_progress

DOWNLOADED = 0.95  # progress after the download; the rest is for reading it once
MEGABYTE = 10**6


def main() -> None:
    """Prepare the domain that the command line names."""
    parser = argparse.ArgumentParser()
    parser.add_argument("name")
    name = parser.parse_args().name
    signal.signal(
        signal.SIGTERM, lambda *_: sys.exit("stopped")
    )  # sys.exit runs the clean-up; the default handler would not
    try:
        _read_folder(name) if is_folder(name) else _download(name)
    except DomainError as error:
        sys.exit(" ".join(str(error).splitlines()))
    report_progress(1, "Done")


def _download(name: str) -> None:
    report_progress(0, "Waiting for the server")
    needs = DOMAINS[name].needs if name in DOMAINS else ()
    expected = MEGABYTE * sum(ARCHIVES[archive].megabytes for archive in needs if not present(archive))
    downloaded: dict[str, int] = {}  # bytes of each file
    reported = ""
    with closing(fetch_domain(name)) as parts:
        for part in parts:
            downloaded[part.file] = part.bytes
            if (text := _progress_text(part)) != reported:
                report_progress(DOWNLOADED * min(sum(downloaded.values()) / expected, 1), text)
                reported = text
    report_progress(DOWNLOADED, "Reading it once")
    read_arrays(name, CHECK_SIDE)


def _progress_text(part: Fetching) -> str:
    if part.bytes == part.total:
        return f"{part.file}: unpacking"
    total = f" of {part.total / MEGABYTE:,.0f}" if part.total else ""
    return f"{part.file}, {part.bytes // MEGABYTE:,}{total} MB"


def _read_folder(name: str) -> None:
    report_progress(0, "Listing the folder")
    prepare_folder(name, lambda read, total: report_progress(read / total, f"{read:,} of {total:,} images"))


if __name__ == "__main__":
    main()
