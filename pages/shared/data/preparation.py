"""The job that makes a domain ready: it downloads what the domain needs, or reads a folder's images."""

from __future__ import annotations

from atesc_core import jobs
from atesc_core.domains import data_dir
from atesc_core.domains.folder import is_folder
from pages.shared.ui.progress import watch_job

MODULE = "atesc_core.domains.prepare"


def prepare(name: str) -> jobs.Job:
    """Start to make the domain ready; all visitors watch the same job."""
    return jobs.start(_key(name), MODULE, name, queue="long" if is_folder(name) else "network")


def preparation(name: str) -> jobs.Job | None:
    """The latest job of this domain, active or ended; None if there was none."""
    return jobs.find(_key(name))


def watch_preparation(name: str, job: jobs.Job, title: str, unaffected: str) -> None:
    """Show the job of this domain until it is done. Call it outside fragments: the page runs again when it has ended.

    Args:
        name: Name of the domain.
        job: The job of this domain.
        title: What the job does: "Downloading svhn".
        unaffected: A sentence on what a stop or a failure does not change, and what to do.
    """
    watch_job(job, title, lambda: prepare(name), unaffected=unaffected, changes=True)


def _key(name: str) -> str:
    return f"domain {name} in {data_dir()}"
