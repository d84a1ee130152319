"""Questions to a V4L2 device through its ioctls: what it is, what it gives, whether another program has it.

Layouts and numbers are those of <linux/videodev2.h>. The standard library alone, so that `visiond cameras` and the
parent can ask as well.
"""

from __future__ import annotations

import errno
import fcntl
import os
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

from visiond.cameras import fourcc

CAPTURE: Final = 0x00000001
CAPTURE_MPLANE: Final = 0x00001000
META_CAPTURE: Final = 0x00800000
_DEVICE_CAPS: Final = 0x80000000

_TYPE_CAPTURE: Final = 1
_TYPE_CAPTURE_MPLANE: Final = 9
_MEMORY_MMAP: Final = 1
_DISCRETE: Final = 1

_CAPABILITY: Final = struct.Struct("=16s32s32sIII12x")
_FMTDESC: Final = struct.Struct("=III32sII12x")
_FORMAT: Final = struct.Struct("@I0PIII188x")  # the union behind `type` holds pointers, so it begins where one may
_REQUESTBUFFERS: Final = struct.Struct("=IIIIB3x")
_FRMSIZEENUM: Final = struct.Struct("=III6I8x")
_FRMIVALENUM: Final = struct.Struct("=IIIII6I8x")


def _number(direction: int, function: int, layout: struct.Struct) -> int:
    """_IOC of <asm-generic/ioctl.h>: direction 1 writes to the kernel, 2 reads from it."""
    return direction << 30 | layout.size << 16 | ord("V") << 8 | function


_QUERYCAP: Final = _number(2, 0, _CAPABILITY)
_ENUM_FMT: Final = _number(3, 2, _FMTDESC)
_G_FMT: Final = _number(3, 4, _FORMAT)
_REQBUFS: Final = _number(3, 8, _REQUESTBUFFERS)
_ENUM_FRAMESIZES: Final = _number(3, 74, _FRMSIZEENUM)
_ENUM_FRAMEINTERVALS: Final = _number(3, 75, _FRMIVALENUM)


@dataclass(frozen=True, slots=True)
class Capability:
    """Who the device says it is; `caps` are those of this node, not of the whole device."""

    driver: str
    card: str
    bus: str
    caps: int

    @property
    def captures(self) -> bool:
        """Whether this node gives pictures: a webcam's second node carries metadata only."""
        return bool(self.caps & (CAPTURE | CAPTURE_MPLANE))


@dataclass(frozen=True, slots=True)
class FrameSize:
    """A size (width, height), or with `largest` and `step` a range of them; `fps` falls from the fastest on."""

    size: tuple[int, int]
    largest: tuple[int, int]
    step: tuple[int, int]
    fps: tuple[float, ...]

    def offers(self, size: tuple[int, int]) -> bool:
        """Whether `size` is, or lies within, this one."""
        axes = zip(size, self.size, self.largest, self.step, strict=True)
        return all(low <= value <= high and (value - low) % max(step, 1) == 0 for value, low, high, step in axes)


@dataclass(frozen=True, slots=True)
class FrameFormat:
    """A pixel format by its four letters, the driver's name for it, and its sizes."""

    fourcc: str
    description: str
    sizes: tuple[FrameSize, ...]


class Device:
    """A device that is asked and not streamed from: nothing here disturbs a program that uses it."""

    def __init__(self, path: Path) -> None:
        """Open it; raises OSError: ENOENT, ENODEV, EACCES."""
        self._fd = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        self._type = _TYPE_CAPTURE

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._fd)

    def capability(self) -> Capability:
        """VIDIOC_QUERYCAP; raises OSError (ENOTTY) for what is no V4L2 device."""
        driver, card, bus, _, caps, device_caps = self._ask(_QUERYCAP, _CAPABILITY, b"", b"", b"", 0, 0, 0)
        caps = device_caps if caps & _DEVICE_CAPS else caps
        self._type = _TYPE_CAPTURE if caps & CAPTURE else _TYPE_CAPTURE_MPLANE
        return Capability(_text(driver), _text(card), _text(bus), caps)

    def formats(self) -> tuple[FrameFormat, ...]:
        """Every format with its sizes and rates."""
        return tuple(self._formats())

    def current_size(self) -> tuple[int, int]:
        """The (width, height) it is set to."""
        _, width, height, _ = self._ask(_G_FMT, _FORMAT, self._type, 0, 0, 0)
        return width, height

    def is_busy(self) -> bool:
        """Whether another program has its buffers: asking for none of our own is refused then."""
        try:
            self._ask(_REQBUFS, _REQUESTBUFFERS, 0, self._type, _MEMORY_MMAP, 0, 0)
        except OSError as error:
            if error.errno == errno.EBUSY:
                return True
            raise
        return False

    def _formats(self) -> Iterator[FrameFormat]:
        for fields in self._enumerate(_ENUM_FMT, _FMTDESC, lambda index: (index, self._type, 0, b"", 0, 0)):
            code = fields[4]
            yield FrameFormat(fourcc.text(code), _text(fields[3]), tuple(self._sizes(code)))

    def _sizes(self, code: int) -> Iterator[FrameSize]:
        for fields in self._enumerate(_ENUM_FRAMESIZES, _FRMSIZEENUM, lambda index: (index, code, 0, *[0] * 6)):
            low_w, high_w, step_w, low_h, high_h, step_h = fields[3:]
            if fields[2] == _DISCRETE:
                low_w, high_w, step_w, low_h, high_h, step_h = fields[3], fields[3], 0, fields[4], fields[4], 0
            fps = tuple(sorted(self._rates(code, high_w, high_h), reverse=True))
            yield FrameSize((low_w, low_h), (high_w, high_h), (step_w, step_h), fps)

    def _rates(self, code: int, width: int, height: int) -> set[float]:
        """Rates of one size; of a range, its ends."""
        rates = set()
        start = (code, width, height, 0, *[0] * 6)
        for fields in self._enumerate(_ENUM_FRAMEINTERVALS, _FRMIVALENUM, lambda index: (index, *start)):
            intervals = [fields[5:7]] if fields[4] == _DISCRETE else [fields[5:7], fields[7:9]]
            rates |= {round(denominator / numerator, 2) for numerator, denominator in intervals if numerator}
        return rates

    def _enumerate(
        self, number: int, layout: struct.Struct, question: Callable[[int], tuple[object, ...]]
    ) -> Iterator[tuple[Any, ...]]:
        """Ask with index 0, 1, … until the driver has no more."""
        for index in range(1000):
            try:
                fields = self._ask(number, layout, *question(index))
            except OSError as error:
                if error.errno in (errno.EINVAL, errno.ENOTTY):
                    return
                raise
            yield fields
            if layout is not _FMTDESC and fields[4 if layout is _FRMIVALENUM else 2] != _DISCRETE:
                return  # a range is told once

    def _ask(self, number: int, layout: struct.Struct, *question: object) -> tuple[Any, ...]:
        buffer = bytearray(layout.pack(*question))
        fcntl.ioctl(self._fd, number, buffer)
        return layout.unpack(buffer)


def _text(raw: bytes) -> str:
    return raw.split(b"\0", 1)[0].decode(errors="replace")
