"""What ties a worker's life to its parent's: no camera or accelerator stays held by an orphan."""

from __future__ import annotations

import ctypes
import os
import signal
import socket
from argparse import ArgumentParser
from contextlib import suppress

from visiond.channel import Channel

_PR_SET_PDEATHSIG = 1  # <linux/prctl.h>
_OOM_SCORE_ADJ = "500"  # of -1000 to 1000: where memory runs out, a worker dies before the parent does


def attach(argv: list[str] | None = None) -> Channel:
    """First call of a worker's main: take the channel named on the command line, and die when the parent dies.

    Ctrl-C and a hang-up in a terminal reach the whole process group; only the parent decides what they mean.
    """
    parser = ArgumentParser(description="A worker of visiond; started by it, not by hand.")
    parser.add_argument("name", help="the camera or model that it serves")
    parser.add_argument("--channel", type=int, required=True, help="descriptor of the line to the parent")
    parser.add_argument("--parent", type=int, required=True, help="the parent's process id")
    arguments = parser.parse_args(argv)
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    with suppress(OSError), open("/proc/self/oom_score_adj", "w") as score:  # already higher: left as it is
        score.write(_OOM_SCORE_ADJ)
    if os.getppid() != arguments.parent:  # it died before the line above
        raise SystemExit(0)
    return Channel(socket.socket(fileno=arguments.channel))
