"""``python -m atesc_core.embedding``: complete the map in each folder that comes as a line on stdin.

``map_process`` starts this. It reports its progress as a job does, and a result after each map.
"""

import sys
from pathlib import Path

from atesc_core.embedding.worker import MapWorker
from atesc_core.jobs import report_result


def main() -> None:
    """Until stdin is closed; an error ends the process."""
    worker = MapWorker()
    for line in sys.stdin:
        worker.complete(Path(line.rstrip("\n")))
        report_result("complete")


if __name__ == "__main__":
    main()
