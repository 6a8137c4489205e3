"""How a process is told to stop: by signal, and, as a child, by the end of its parent."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

LIFELINE = "ZKPFL_LIFELINE"
"""Set by a parent that holds the other end of its child's standard input."""

GRACE_S = 10.0

LEAVE_S = 2.0
"""How long a command that was told to stop may take to see it, before what it waits for is cut short."""

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def attach() -> None:
    """End this process when its parent ends, if the parent asked for it.

    The parent's end of the pipe closes even when the parent is killed, which no handler in it could see to. A
    process group of its own would otherwise let the child live on.
    """
    if os.environ.pop(LIFELINE, None):
        threading.Thread(target=_stop_at_end_of_input, name="lifeline", daemon=True).start()


class Interrupted(BaseException):
    """SIGINT or SIGTERM, in a command that does not look at an event of its own.

    No `Exception`, which an audit would note as what is wrong with a check, and no `KeyboardInterrupt`, which
    the parser of the command line would swallow.
    """


@contextmanager
def interruptible() -> Iterator[None]:
    """Let SIGINT and SIGTERM raise `Interrupted` in the main thread while the block runs.

    A command that must end in order takes the signals over with `stop_on_signals`.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may set handlers, and only there would they raise
        return
    before = {number: signal.signal(number, _interrupt) for number in (*_SIGNALS, signal.SIGALRM)}
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in before.items():
            signal.signal(number, handler)


def stop_on_signals(leave_s: float = LEAVE_S) -> threading.Event:
    """Return an event that SIGINT and SIGTERM set; call it from the main thread, inside `interruptible`.

    Parameters
    ----------
    leave_s
        Seconds after which `Interrupted` follows, because the command may wait for a peer that does
        not answer; 0 for one that ends others before itself and has deadlines of its own.
    """
    stop = threading.Event()

    def handle(_number: int, _frame: object) -> None:
        if not stop.is_set():
            stop.set()
            signal.setitimer(signal.ITIMER_REAL, leave_s)

    for number in _SIGNALS:
        signal.signal(number, handle)
    return stop


def _interrupt(_number: int, _frame: object) -> None:
    raise Interrupted


def _stop_at_end_of_input() -> None:
    # Not through sys.stdin, whose lock a blocked daemon thread would hold while the interpreter ends.
    while os.read(0, 1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(GRACE_S)
    os._exit(1)
