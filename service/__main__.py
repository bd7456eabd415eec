"""``python -m service`` is ``autoreview``."""

from service.cli import main

main()
