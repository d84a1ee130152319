"""Which subjects there are: the package's files, the runtimes that are installed, the cores, and the stick."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from visiond.errors import UnavailableError, UsageError
from visiond.messages import StickOrder
from visiond.modelkit.bench.report import Subject
from visiond.modelkit.package import Package
from visiond.modelkit.stick_choice import stick_of

MODULES: Final = {
    "litert": "ai_edge_litert",
    "tflite-runtime": "tflite_runtime",
    "pycoral": "pycoral",
    "onnx": "onnxruntime",
}
DELEGATES: Final = ("xnnpack", "none", "edgetpu")
_ON_CPU: Final = ("litert", "tflite-runtime")
_KERNELS: Final = {"xnnpack": "xnnpack", "none": "builtin"}


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to be measured; None: whatever is here. `sysfs` and `dev` are the kernel's, or a simulation's."""

    runtimes: tuple[str, ...] | None = None
    threads: tuple[int, ...] | None = None
    delegates: tuple[str, ...] | None = None
    device: str | None = None
    library: str = "libedgetpu.so.1"
    sysfs: Path = Path("/sys")
    dev: Path = Path("/dev")


def choose_subjects(package: Package, wish: Wish) -> tuple[tuple[Subject, ...], StickOrder | None]:
    """Return what can be measured here, and the stick that one of them needs.

    Raises UsageError for a wish that means nothing, UnavailableError for one that cannot be met here.
    """
    _check(wish.runtimes, tuple(MODULES), "--runtime")
    _check(wish.delegates, DELEGATES, "--delegate")
    if wish.threads is not None and (min(wish.threads) < 1 or max(wish.threads) > 64):
        raise UsageError(f"--threads {','.join(map(str, wish.threads))}: give numbers from 1 to 64, such as 1,2")
    runtimes = _runtimes(wish.runtimes)
    stick = _stick(package, wish)
    on_cpu = list(_on_cpu(package, wish, runtimes))
    on_stick = [] if stick is None else list(_on_stick(wish, runtimes, stick))
    if not on_cpu and not on_stick:
        files = ", ".join(f"files.{key}" for key in _keys(package))
        raise UnavailableError(
            f"{package.name}: nothing of it can be measured here with these options: it has {files}, the runtimes "
            f"here are {', '.join(runtimes) or 'none'}{' by --runtime' if wish.runtimes else ''}, and "
            f"{'an' if stick else 'no'} Edge TPU is used; leave --runtime, "
            "--delegate or --device out"
        )
    return (*on_cpu, *on_stick), stick


def default_threads(cpus: int) -> tuple[int, ...]:
    """1, 2, 4, … up to the number of cores, and that number."""
    powers = [1 << n for n in range(cpus.bit_length()) if 1 << n <= cpus]
    return tuple(sorted({*powers, cpus}))


def _on_cpu(package: Package, wish: Wish, runtimes: Sequence[str]) -> Iterator[Subject]:
    threads = wish.threads or default_threads(os.cpu_count() or 1)
    delegates = wish.delegates or DELEGATES
    for runtime in runtimes:
        if runtime in _ON_CPU and package.files.cpu is not None:
            kernels = [_KERNELS[delegate] for delegate in DELEGATES if delegate in delegates and delegate in _KERNELS]
            yield from (Subject("cpu", runtime, count, each, None) for each in kernels for count in threads)
        if runtime == "onnx" and package.files.onnx is not None and "none" in delegates:
            yield from (Subject("onnx", runtime, count, None, None) for count in threads)


def _on_stick(wish: Wish, runtimes: Sequence[str], stick: StickOrder) -> Iterator[Subject]:
    """On the stick with the fewest threads: they compute what the compiler has left to the CPU."""
    threads = min(wish.threads or (1,))
    for runtime in runtimes:
        if runtime != "onnx":
            yield Subject("edgetpu", runtime, threads, "xnnpack", stick.device)


def _stick(package: Package, wish: Wish) -> StickOrder | None:
    """The stick that is meant; None where none is, or none is needed."""
    wanted = wish.delegates is None or "edgetpu" in wish.delegates
    if not wanted and wish.device is not None:
        raise UsageError(f"--device {wish.device}: --delegate leaves the Edge TPU out; add edgetpu to it")
    if not wanted:
        return None
    if wish.delegates is not None and package.files.edgetpu is None:
        raise UnavailableError(f"--delegate edgetpu: {package.name} has no files.edgetpu; add it, or leave edgetpu out")
    device = wish.device if wish.delegates is None else wish.device or "usb:0"
    return stick_of(package, device, wish.library, wish.sysfs, wish.dev)


def _runtimes(wanted: tuple[str, ...] | None) -> list[str]:
    there = [name for name, module in MODULES.items() if find_spec(module) is not None]
    missing = [name for name in wanted or () if name not in there]
    if missing:
        raise UnavailableError(
            f"--runtime {missing[0]}: is not installed here; installed: {', '.join(there) or 'none'}"
        )
    return there if wanted is None else [name for name in there if name in wanted]


def _keys(package: Package) -> list[str]:
    return [key for key in ("cpu", "edgetpu", "onnx") if getattr(package.files, key) is not None]


def _check(given: Sequence[str] | None, known: Sequence[str], option: str) -> None:
    for each in given or ():
        if each not in known:
            raise UsageError(f"{option} {each}: there is no such one; give one or more of {', '.join(known)}")
