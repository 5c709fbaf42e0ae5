"""``python -m chatq``: the ``chatq`` command."""

from chatq.cli.app import main

main()
