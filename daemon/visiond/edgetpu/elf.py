"""The head of an ELF file: which machine it is for, and whether all of it is there."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

_MAGIC: Final = b"\x7fELF"
_IDENT: Final = 16
_SHARED: Final = 3  # ET_DYN
# <elf.h>: e_type, e_machine, e_version, e_entry, e_phoff, e_shoff, e_flags, e_ehsize, e_phentsize, e_phnum
_HEAD: Final = {1: "HHIIIIIHHH", 2: "HHIQQQIHHH"}
# p_offset and p_filesz of a program header
_SEGMENT: Final = {1: "4xI8xI", 2: "8xQ16xQ"}
_MACHINES: Final = {(3, 32): "32-bit x86", (62, 64): "x86-64", (40, 32): "32-bit ARM", (183, 64): "64-bit ARM"}
_MOST_SEGMENTS: Final = 1000


@dataclass(frozen=True, slots=True)
class ElfHead:
    """`bits` is 32 or 64, `machine` a number of <elf.h>; `length` in bytes is what the file must have at least."""

    bits: int
    little_endian: bool
    machine: int
    is_shared: bool
    length: int

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read it from a file. Raises OSError, or ValueError where it is no ELF file or its head is cut off."""
        with path.open("rb") as file:
            head = file.read(64)
            wide = head[4] if len(head) == 64 and head.startswith(_MAGIC) else 0
            if wide not in _HEAD or head[5] not in (1, 2):
                raise ValueError("it is no ELF file")
            order = "<" if head[5] == 1 else ">"
            kind, machine, _, _, table, _, _, _, size, count = struct.unpack_from(order + _HEAD[wide], head, _IDENT)
            segment = struct.Struct(order + _SEGMENT[wide])
            if size < segment.size or count > _MOST_SEGMENTS or table > path.stat().st_size:
                raise ValueError("it is cut off or damaged")
            file.seek(table)
            headers = file.read(size * count)
        if len(headers) != size * count:
            raise ValueError("it is cut off or damaged")
        ends = [sum(segment.unpack_from(headers, size * index)) for index in range(count)]
        return cls(wide * 32, order == "<", machine, kind == _SHARED, max([64, *ends]))

    @property
    def architecture(self) -> str:
        """In words, as on a package's label."""
        name = _MACHINES.get((self.machine, self.bits), f"machine {self.machine}, {self.bits} bits")
        return name if self.little_endian else f"{name}, big-endian"

    def runs_like(self, other: Self) -> bool:
        """Whether both can be in one process."""
        mine = (self.bits, self.little_endian, self.machine)
        return mine == (other.bits, other.little_endian, other.machine)
