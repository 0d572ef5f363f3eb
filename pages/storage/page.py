"""The page Storage: what the runs take on the disk, the bounds on it, and ways to make room."""

from pages.storage.usage import show_storage

show_storage()
