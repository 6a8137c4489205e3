"""How a process is told to stop: by signal, and, as a child, by the end of its parent."""

from __future__ import annotations

import os
import signal
import threading
import time

LIFELINE = "ZKPFL_LIFELINE"
"""Set by a parent that holds the other end of its child's standard input."""

GRACE_S = 10.0


def attach() -> None:
    """End this process when its parent ends, if the parent asked for it.

    The parent's end of the pipe closes even when the parent is killed, which no handler in it could see to. A
    process group of its own would otherwise let the child live on.
    """
    if os.environ.pop(LIFELINE, None):
        threading.Thread(target=_stop_at_end_of_input, name="lifeline", daemon=True).start()


def stop_on_signals() -> threading.Event:
    """Return an event that SIGINT and SIGTERM set; call it from the main thread."""
    stop = threading.Event()

    def handle(_number: int, _frame: object) -> None:
        stop.set()

    signal.signal(signal.SIGINT, handle)
    signal.signal(signal.SIGTERM, handle)
    return stop


def _stop_at_end_of_input() -> None:
    # Not through sys.stdin, whose lock a blocked daemon thread would hold while the interpreter ends.
    while os.read(0, 1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(GRACE_S)
    os._exit(1)
