"""Damaged files."""

import zipfile
from pathlib import Path


def flip_bit(path: Path) -> None:
    """Flip one bit in the middle of a file, or of the largest part of a zip file.

    The file is written anew, as the old one may have another name too.
    """
    content, start, size = bytearray(path.read_bytes()), 0, path.stat().st_size
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            largest = max(archive.infolist(), key=lambda part: part.compress_size)
            with archive.open(largest) as part:
                start, size = part._orig_compress_start, largest.compress_size
    content[start + size // 2] ^= 1
    path.unlink()
    path.write_bytes(content)
