"""TrialOrder: what a process that may die is to do with one stick and one model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

INVOKE: Final = "invoke"  # the kind of a {failed} whose sentence is a runtime's own


@dataclass(frozen=True, slots=True)
class TrialOrder:
    """Open the stick at `port`, invoke files.edgetpu of the package in `folder`, run its golden examples.

    `seconds` > 0: also invoke for so long, and compare with `cpu_file` (a key of files), where it is given. `hold`:
    then go on invoking until somebody ends the process. `index` is the stick's number in order of ports.
    """

    model: str
    folder: str
    runtime: str
    threads: int
    port: str
    index: int
    library: str
    sysfs: str
    performance: str | None
    usb: dict[str, bool | int]
    seconds: float = 0.0
    cpu_file: str | None = None
    hold: bool = False
