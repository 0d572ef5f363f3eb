"""``python -m atesc_core``."""

from atesc_core.cli import main

main()
