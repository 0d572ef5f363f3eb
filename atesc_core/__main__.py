"""``atesc``."""

from atesc_core.cli import main

main()
