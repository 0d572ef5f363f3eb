"""What is stored and read back has a checksum: one flipped bit is noticed."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from atesc_core.embedding.map_folder import COORDINATES, MODEL, MapFolder
from atesc_core.files import atomic_write, load_array, read_cached, save_array
from atesc_core.runs.session import load_checkpoint
from tests.support.damage import flip_bit


def test_an_array_is_read_back_and_one_with_a_flipped_bit_is_not(tmp_path):
    """.npy files of the caches had no checksum: another number was shown."""
    path, values = tmp_path / "a.npz", np.arange(1000, dtype=np.float32)
    with atomic_write(path) as file:
        save_array(file, values)
    assert np.array_equal(read_cached(path, load_array), values)
    flip_bit(path)
    with pytest.raises(FileNotFoundError, match="was damaged"):
        read_cached(path, load_array)
    assert not path.exists()


@pytest.mark.parametrize("name", [COORDINATES, MODEL, MapFolder.request("a"), MapFolder.positions("a")])
def test_a_flipped_bit_in_a_map_counts_as_a_missing_file(tmp_path, name):
    folder = MapFolder(tmp_path)
    folder.write(name, np.zeros((500, 2), np.float32))
    assert folder.read(name) is not None
    flip_bit(tmp_path / name)
    assert folder.read(name) is None


def test_a_flipped_bit_in_a_checkpoint_is_a_sentence(tmp_path):
    """PyTorch compares no checksums: the run went on from another number."""
    path = tmp_path / "checkpoint.pt"
    torch.save({"epoch": 3, "state": {"weight": torch.ones(1000)}}, path)
    assert load_checkpoint(path)[0] == 3
    flip_bit(path)
    read = torch.load(path, weights_only=True)["state"]["weight"]
    assert (read != 1).sum() == 1
    with pytest.raises(
        ValueError, match=r"checkpoint: .* cannot be read \(it is damaged: .* is not what was written\)"
    ):
        load_checkpoint(path)
