"""The folder of a UMAP map in the cache: its inputs, its results, and requests to place more images on it."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import numpy as np
from numpy.typing import NDArray

from atesc_core.files import atomic_write, load_array, read_cached, save_array

SETTINGS, FEATURES = "settings.json", "reference.npz"  # inputs
MODEL, COORDINATES = "model.npz", "reference.xy.npz"  # results
LOCK = "one-at-a-time.lock"  # in the parent folder of all maps


class MapFolder:
    """Files of one map. Files are written atomically: a reader never sees half a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @staticmethod
    def request(name: str) -> str:
        """The file of a batch of features, (N, F), to be placed on the map."""
        return f"requests/{name}.npz"

    @staticmethod
    def positions(name: str) -> str:
        """The file of the positions, (N, 2), of that batch."""
        return f"positions/{name}.npz"

    def has(self, name: str) -> bool:
        """Whether the file exists."""
        return (self.path / name).exists()

    def read(self, name: str) -> NDArray[np.float32] | None:
        """The array in the file; None if there is no such file. A damaged one is deleted."""
        try:
            return cast(NDArray[np.float32], read_cached(self.path / name, load_array))
        except FileNotFoundError:
            return None

    def write(self, name: str, content: NDArray[np.float32] | str | bytes) -> None:
        """Write an array, text or bytes into the file. Several processes may write the same one."""
        with atomic_write(self.path / name, several_writers=True) as file:
            if isinstance(content, np.ndarray):
                save_array(file, content)
            else:
                file.write(content.encode() if isinstance(content, str) else content)

    def requested(self) -> list[str]:
        """Names of the batches that are not placed yet, oldest first."""
        files = [path for path in (self.path / "requests").glob("*.npz") if not path.name.startswith(".")]
        return [path.stem for path in sorted(files, key=lambda path: path.stat().st_mtime_ns)]

    def close_request(self, name: str) -> None:
        """Remove the request of a batch that has been placed."""
        (self.path / self.request(name)).unlink(missing_ok=True)
