"""The command line: one module a command group, and those that present what the roles report.

Every command imports what it runs only when it runs, so that help is quick and the processes of zk-nodes and
the ledger never load torch.
"""

from __future__ import annotations

import sys

from zkpfl.cli import lifeline


def main() -> None:
    """Run the command line of this process and exit with its code (see `exit_codes`)."""
    lifeline.attach()
    from zkpfl.cli.app import run

    sys.exit(run(sys.argv[1:]))
