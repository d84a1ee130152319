"""Keep a process from ending, as a driver that waits in the kernel does: `undead.py PID`, until this process ends.

PTRACE_O_TRACEEXIT stops the process on its way out, which no signal ends. A line on stdout says that it is traced.
"""

import ctypes
import os
import sys

_PTRACE_SEIZE = 0x4206  # <linux/ptrace.h>
_PTRACE_O_TRACEEXIT = 0x40


def main() -> None:
    ptrace = ctypes.CDLL(None, use_errno=True).ptrace
    ptrace.argtypes = (ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p)
    ptrace.restype = ctypes.c_long
    if ptrace(_PTRACE_SEIZE, int(sys.argv[1]), 0, _PTRACE_O_TRACEEXIT) == -1:
        raise OSError(ctypes.get_errno(), f"cannot trace process {sys.argv[1]}")
    print("traced", flush=True)
    sys.stdin.read()  # until the test lets go
    os._exit(0)  # and with the tracer goes the trace


if __name__ == "__main__":
    main()
