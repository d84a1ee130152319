"""The control file as Python sees it: control.h's lists, in their order. A test compares the two.

Every number is one aligned 8-byte word, written and read in one piece while the library runs.
"""

from __future__ import annotations

import mmap
import sys
from pathlib import Path
from typing import Final, Self

MAGIC: Final = int.from_bytes(b"ETPUSIM1", "little")
VERSION: Final = 1
STICKS: Final = 4
ALWAYS: Final = 2**64 - 1
RING: Final = 256
OUTPUTS: Final = 16
NAME_BYTES: Final = 112
BLOB_BYTES: Final = 65536

HEADER: Final = ("magic", "version", "size", "stick_size", "creates")
NUMBERS: Final = (
    *("state", "plugs", "firmware", "open_us", "refuse_us"),
    *("invoke_us", "swap_us", "ramp_us", "ramp_max_us", "leak_bytes"),
    *("claim", "output", "value", "hash_inputs", "busnum", "devnum", "phase", "owner"),
    *("creates", "opens", "closes", "prepares", "claimed_nodes"),
    *("begun", "invokes", "swaps", "ramped", "last_model", "second_openers", "faults_fired"),
)
FAULTS: Final = (
    *("create_fail", "create_segv", "create_hang", "create_abort", "prepare_fail", "prepare_segv"),
    *("error", "abort", "segv", "hang"),
)
TEXTS: Final = {"device": 64, "options": 512, "dropped": 512, "sysfs": 256, "parking": 256, "nodes": 256}

STATES: Final = ("absent", "present", "denied")
PHASES: Final = ("closed", "opening", "re-enumerating", "open")
CLAIMS: Final = ("custom", "all")
MODES: Final = ("constant", "set", "input", "nan")

FAULT_BYTES: Final = 3 * 8  # after, times, fired
INVOCATION_BYTES: Final = 4 * 8  # begin_ns, end_ns, input_hash, model
OUTPUT_BYTES: Final = NAME_BYTES + 2 * 8  # name, offset, size


def _places() -> dict[str, tuple[int, int]]:
    """Offset and size of everything, as edgetpu_sim_layout() names it; a stick's offsets are within its record."""
    places = {f"control.{name}": (8 * position, 8) for position, name in enumerate(HEADER)}
    sizes = {f"stick.{name}": 8 for name in NUMBERS}
    sizes |= {f"fault.{name}": FAULT_BYTES for name in FAULTS}
    sizes |= {f"stick.{name}": size for name, size in TEXTS.items()}
    sizes |= {"stick.ring": RING * INVOCATION_BYTES, "stick.outputs": OUTPUTS * OUTPUT_BYTES, "stick.blob": BLOB_BYTES}
    offset = 0
    for name, size in sizes.items():
        places[name] = (offset, size)
        offset += size
    return places | {"control.sticks": (8 * len(HEADER), STICKS * offset)}


PLACES: Final = _places()
STICK_BYTES: Final = PLACES["control.sticks"][1] // STICKS
FILE_BYTES: Final = sum(PLACES["control.sticks"])


def empty_file() -> bytes:
    """A control file of absent sticks."""
    header = (MAGIC, VERSION, FILE_BYTES, STICK_BYTES, 0)
    return b"".join(value.to_bytes(8, "little") for value in header).ljust(FILE_BYTES, b"\0")


class ControlFile:
    """The file, mapped."""

    def __init__(self, path: Path) -> None:
        """Raises ValueError for a file of another version, OSError where there is none."""
        assert sys.byteorder == "little"
        with path.open("r+b") as file:
            self._map = mmap.mmap(file.fileno(), 0)
        self._words = memoryview(self._map).cast("Q")
        if len(self._map) != FILE_BYTES or self._words[:2].tolist() != [MAGIC, VERSION]:
            self.close()
            raise ValueError(f"{path} is no control file of this version; remove its folder and start again")

    def close(self) -> None:
        """Let go of the mapping."""
        self._words.release()
        self._map.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def offset(self, stick: int, place: str) -> int:
        """Where `place` of PLACES begins in the file."""
        return PLACES["control.sticks"][0] + stick * STICK_BYTES + PLACES[place][0]

    def header(self, name: str) -> int:
        return self._words[PLACES[f"control.{name}"][0] // 8]

    def word(self, offset: int) -> int:
        return self._words[offset // 8]

    def set_word(self, offset: int, value: int) -> None:
        self._words[offset // 8] = value

    def text(self, stick: int, name: str) -> str:
        offset = self.offset(stick, f"stick.{name}")
        return self._map[offset : offset + TEXTS[name]].split(b"\0", 1)[0].decode()

    def set_text(self, stick: int, name: str, text: str) -> None:
        """Raises ValueError for what does not fit."""
        encoded = text.encode() + b"\0"
        if len(encoded) > TEXTS[name]:
            raise ValueError(
                f"{name} takes {TEXTS[name] - 1} bytes, not {len(encoded) - 1}: {text}; use a shorter path"
            )
        self.write(self.offset(stick, f"stick.{name}"), encoded)

    def write(self, offset: int, data: bytes) -> None:
        self._map[offset : offset + len(data)] = data
