"""``python -m atesc_core.embedding --job DIR``: make the map that DIR asks for. The app starts this itself."""

import argparse
from pathlib import Path

from atesc_core.embedding.reference import LINGER_S
from atesc_core.embedding.worker import Worker


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m atesc_core.embedding", description=__doc__)
    parser.add_argument("--job", type=Path, required=True, help="folder of the map, made by ReferenceMap")
    parser.add_argument("--linger", type=float, default=LINGER_S, help="seconds to wait for more")
    arguments = parser.parse_args()
    Worker(arguments.job, arguments.linger).run()


if __name__ == "__main__":
    main()
