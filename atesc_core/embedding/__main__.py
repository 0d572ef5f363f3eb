"""``python -m atesc_core.embedding``: read map folders from stdin, one per line, and complete the map in each.

``map_process`` starts this process. It reports its progress as a job does, and a result after each map.
"""

import sys
from pathlib import Path

from atesc_core.embedding.worker import MapWorker
from atesc_core.jobs import report_result


def main() -> None:
    """Complete maps until stdin is closed. An error ends the process."""
    worker = MapWorker()
    for line in sys.stdin:
        worker.complete(Path(line.rstrip("\n")))
        report_result("complete")


if __name__ == "__main__":
    main()
