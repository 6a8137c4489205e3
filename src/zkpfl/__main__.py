"""``python -m zkpfl`` is the ``zkpfl`` command."""

from zkpfl.cli import main

main()
