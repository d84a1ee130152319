"""The life of a device, in a booted machine: from a bare checkout to nothing left. Run by tests/system/machine/run.

Exits with 200 where the machine is to be booted again. $STEPS: the names of the steps to take, all where it is empty;
the device is installed and booted in any case.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable

from boot import booted, memory
from clock_steps import clock_set
from configurations import reload, wrong_configuration
from deaths import workers_killed
from device import UNIT
from disk import full_disk, read_only_root
from installation import install, prepare, roll_back, uninstall, upgrade
from pictures_seen import pictures_seen, refused
from unplugging import connection_lost, unplugged
from v4l2 import v4l2

Step = Callable[[], None]
REBOOT = 200
BOOTS: tuple[tuple[Step, ...], ...] = (
    (prepare, install),
    (
        booted,
        refused,
        memory,
        connection_lost,
        unplugged,
        workers_killed,
        reload,
        clock_set,
        full_disk,
        read_only_root,
        pictures_seen,
        wrong_configuration,
    ),
    (booted, upgrade, roll_back, uninstall, v4l2),
)
ALWAYS = (prepare, install, booted)


def main() -> int:
    """Take this boot's steps; return the exit code."""
    boot, names = int(os.environ["RIG_BOOT"]), os.environ.get("STEPS", "").split()
    assert set(names) <= {step.__name__ for steps in BOOTS for step in steps}, f"no such step among {names}"
    for step in BOOTS[boot - 1]:
        if names and step not in ALWAYS and step.__name__ not in names:
            continue
        began_s = time.monotonic()
        try:
            step()
        except BaseException:
            print(f"FAILED: {step.__name__}; the end of the journal:", file=sys.stderr, flush=True)
            subprocess.run(
                ["journalctl", "--unit", UNIT, "--no-pager", "--lines", "60"], stdout=sys.stderr, check=False
            )
            raise
        print(f"   ({step.__name__} took {time.monotonic() - began_s:.0f} s)", flush=True)
    wanted = [name for steps in BOOTS[boot:] for step in steps if (name := step.__name__) in names or not names]
    return REBOOT if wanted else 0


if __name__ == "__main__":
    raise SystemExit(main())
