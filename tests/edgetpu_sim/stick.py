"""One simulated stick: what a test tells it to do, and what it tells a test."""

from __future__ import annotations

import struct
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Final

from edgetpu_sim import layout
from edgetpu_sim.layout import ControlFile
from edgetpu_sim.usb_tree import BOOTLOADER, BUS, READY, UsbTree

_POLL_S: Final = 0.002  # nothing announces a word that changes in shared memory


@dataclass(frozen=True, slots=True)
class Counters:
    """What the library has counted for this stick since the control file was made."""

    creates: int  # load_delegate calls that reached it
    opens: int  # those that opened it
    closes: int
    prepares: int
    claimed_nodes: int  # in the graph that was prepared last
    begun: int  # invokes begun: more than `invokes` while one runs, hangs or failed
    invokes: int
    swaps: int  # another model than in the invoke before
    second_openers: int  # processes that opened it while another one had it
    faults_fired: int
    owner: int  # pid, or 0
    phase: str  # of layout.PHASES


@dataclass(frozen=True, slots=True)
class Invocation:
    """One invoke; times are CLOCK_MONOTONIC, `model` tells one prepared graph from another."""

    begin_ns: int
    end_ns: int
    input_hash: int
    model: int


class Stick:
    """Steered at any time, also while the library runs; takes effect at the next call. A lock is held for sysfs."""

    def __init__(
        self, control: ControlFile, number: int, tree: UsbTree, lock: Callable[[], AbstractContextManager[None]]
    ) -> None:
        self._control = control
        self._number = number
        self._lock = lock
        self.tree = tree
        self.port = tree.port

    def get(self, name: str) -> int:
        """A number of layout.NUMBERS."""
        return self._control.word(self._control.offset(self._number, f"stick.{name}"))

    def set(self, **numbers: int) -> None:
        """Set numbers of layout.NUMBERS, as they are called there."""
        for name, value in numbers.items():
            self._control.set_word(self._control.offset(self._number, f"stick.{name}"), value)

    @property
    def state(self) -> str:
        """One of layout.STATES; whether it has its firmware is another matter."""
        return layout.STATES[self.get("state")]

    # the plug

    def plug(self, *, bootloader: bool = True, **attributes: str) -> None:
        """Plug it in: as 1a6e:089a, until an open loads the firmware, or as 18d1:9302. Others: files of sysfs."""
        with self._lock():
            devnum = self.get("devnum") % 127 + 1 if self.get("devnum") else 2 + 30 * self._number
            self.tree.appear(BOOTLOADER if bootloader else READY, devnum, attributes)
            self.set(busnum=BUS, devnum=devnum, firmware=int(not bootloader), plugs=self.get("plugs") + 1)
            self.set(state=layout.STATES.index("present"))

    def unplug(self) -> None:
        """Pull it out: a process that has it open aborts within some 20 ms, as with libedgetpu."""
        with self._lock():
            self.set(state=layout.STATES.index("absent"))
            self.tree.vanish()

    def deny(self, denied: bool = True) -> None:
        """Without the udev rule: the node is not for us, and an open fails (root too, here)."""
        with self._lock():
            self.tree.node(self.get("devnum")).chmod(0o000 if denied else 0o664)
            self.set(state=layout.STATES.index("denied" if denied else "present"))

    def claim_interface(self, claimed: bool = True) -> None:
        """Show in sysfs that some program has it."""
        with self._lock():
            self.tree.claim(claimed)

    # time

    def set_invoke_ms(self, duration_ms: float) -> None:
        self.set(invoke_us=round(duration_ms * 1000))

    def set_open_ms(self, duration_ms: float) -> None:
        """An open that succeeds; a real stick takes 2000 to 4000."""
        self.set(open_us=round(duration_ms * 1000))

    def set_refuse_ms(self, duration_ms: float) -> None:
        """An open that fails; libedgetpu tries for 25000 before it gives up."""
        self.set(refuse_us=round(duration_ms * 1000))

    def set_swap_ms(self, duration_ms: float) -> None:
        """Added when another model ran before: its parameters go into the 8 MB cache."""
        self.set(swap_us=round(duration_ms * 1000))

    def set_ramp_ms(self, per_invoke_ms: float, up_to_ms: float) -> None:
        """Slower with each invoke from now on."""
        self.set(ramped=0, ramp_max_us=round(up_to_ms * 1000), ramp_us=round(per_invoke_ms * 1000))

    # what it computes

    def claim(self, nodes: str) -> None:
        """For the next load_delegate: "custom", compiled models; "all", every node of an ordinary one."""
        if nodes not in layout.CLAIMS:
            raise ValueError(f"claim is {' or '.join(layout.CLAIMS)}, not {nodes}")
        self.set(claim=layout.CLAIMS.index(nodes))

    def output_constant(self, byte: int) -> None:
        self.set(value=byte, output=layout.MODES.index("constant"))

    def output_from_input(self, key: int = 0) -> None:
        """Byte i is `input[i % n] ^ key`; a float32 output's value i is `(input[i % n] ^ key) / 256`."""
        self.set(value=key, output=layout.MODES.index("input"))

    def output_nan(self) -> None:
        """Floats are NaN, the bytes of integers 0xFF."""
        self.set(output=layout.MODES.index("nan"))

    def output_set(self, outputs: Mapping[str, bytes]) -> None:
        """Bytes by the output tensor's name; the rest of a tensor, and others, are zeros. Not while it is invoked.

        Raises ValueError for more than 16 outputs, 64 KiB in all, or a name of more than 111 bytes.
        """
        blob = b"".join(outputs.values())
        if len(outputs) > layout.OUTPUTS or len(blob) > layout.BLOB_BYTES:
            raise ValueError(f"{len(outputs)} outputs of {len(blob)} bytes; it takes 16 of 65536 bytes in all")
        table, offset = b"", 0
        for name, data in outputs.items():
            if len(name.encode()) >= layout.NAME_BYTES:
                raise ValueError(f"an output's name takes 111 bytes: {name}")
            table += struct.pack(f"<{layout.NAME_BYTES}sQQ", name.encode(), offset, len(data))
            offset += len(data)
        self._write("outputs", table.ljust(layout.OUTPUTS * layout.OUTPUT_BYTES, b"\0"))
        self._write("blob", blob)
        self.set(output=layout.MODES.index("set"))

    def hash_inputs(self, wanted: bool = True) -> None:
        """Hash each input into the ring; off, because it takes the CPU about 1 ms per MB."""
        self.set(hash_inputs=int(wanted))

    # faults

    def fail(self, kind: str, at: int = 1, times: int | None = None) -> None:
        """Make the `at`-th call from now fail as `kind` (layout.FAULTS), and the ones after it: `times`, or always."""
        if kind not in layout.FAULTS or at < 1 or (times is not None and times < 1):
            raise ValueError(f"no such fault: {kind}, at call {at}, {times} times; kinds: {', '.join(layout.FAULTS)}")
        offset = self._control.offset(self._number, f"fault.{kind}")
        self._control.set_word(offset + 8, 0)
        self._control.set_word(offset, at - 1)
        self._control.set_word(offset + 8, layout.ALWAYS if times is None else times)

    def leak(self, bytes_per_invoke: int) -> None:
        self.set(leak_bytes=bytes_per_invoke)

    def heal(self) -> None:
        """No fault, no ramp, no leak, permission granted; whether it is plugged in stays as it is."""
        for kind in layout.FAULTS:
            self._control.set_word(self._control.offset(self._number, f"fault.{kind}") + 8, 0)
        self.set(ramp_us=0, leak_bytes=0)
        if self.state == "denied":
            self.deny(False)

    def fired(self, kind: str) -> int:
        """How often that fault has struck."""
        return self._control.word(self._control.offset(self._number, f"fault.{kind}") + 16)

    # what it tells

    def counters(self) -> Counters:
        names = [name for name in Counters.__dataclass_fields__ if name != "phase"]
        return Counters(**{name: self.get(name) for name in names}, phase=layout.PHASES[self.get("phase")])

    def wait(self, reached: Callable[[Counters], bool], patience_s: float = 30.0) -> Counters:
        """Return as soon as the counters are as wanted; raises TimeoutError with what they were."""
        give_up = time.monotonic() + patience_s
        while not reached(counters := self.counters()):
            if time.monotonic() > give_up:
                raise TimeoutError(f"not within {patience_s} s: {counters}")
            time.sleep(_POLL_S)
        return counters

    @property
    def device(self) -> str:
        """The `device` option of the last open."""
        return self._control.text(self._number, "device")

    @property
    def options(self) -> dict[str, str]:
        """The options that the last open has taken."""
        return dict(self._lines("options"))

    @property
    def dropped(self) -> dict[str, str]:
        """Those that it has dropped, silently as libedgetpu does, because `device` had no index."""
        return dict(self._lines("dropped"))

    def invocations(self) -> list[Invocation]:
        """The last 256 at most, oldest first. One that ends meanwhile may have replaced the oldest."""
        end, base = self.get("invokes"), self._control.offset(self._number, "stick.ring")
        places = [
            base + number % layout.RING * layout.INVOCATION_BYTES for number in range(max(0, end - layout.RING), end)
        ]
        return [Invocation(*(self._control.word(place + 8 * word) for word in range(4))) for place in places]

    def busy_fraction(self) -> float:
        """The part of the time from the first to the last end in the ring in which the device computed."""
        recent = self.invocations()
        computed_ns = sum(invocation.end_ns - invocation.begin_ns for invocation in recent[1:])
        return computed_ns / (recent[-1].end_ns - recent[0].end_ns)

    def _lines(self, text: str) -> Iterator[tuple[str, str]]:
        for line in self._control.text(self._number, text).splitlines():
            key, _, value = line.partition("=")
            yield key, value

    def _write(self, place: str, data: bytes) -> None:
        self._control.write(self._control.offset(self._number, f"stick.{place}"), data)


def fnv1a(data: bytes) -> int:
    """The hash of an invocation's input: FNV-1a, 64 bits."""
    value = 0xCBF29CE484222325
    for byte in data:
        value = (value ^ byte) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
    return value


def float32(*values: float) -> bytes:
    """Values of a float32 output."""
    return struct.pack(f"<{len(values)}f", *values)
