"""What each operator of a model costs under LiteRT, by its own profiler.

LiteRT's Python interface does not offer it; its C interface does (litert/c/litert_profiler.h), in the libLiteRt.so of
the ai-edge-litert wheel, also for what XNNPACK makes of the operators. Nothing of Python's interpreter is in that
library: the model is opened once more here. Only in a process that may die: a signature may change with a version.
Tried with ai-edge-litert 2.3.0.
"""

from __future__ import annotations

import ctypes
import importlib.util
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from visiond.errors import UnavailableError

_CPU: Final = 1  # litert/c/litert_common.h, kLiteRtHwAcceleratorCpu
_BUILTIN: Final = 2  # litert/c/options/litert_cpu_options.h: TFLite's own kernels, without XNNPACK
# litert/c/litert_profiler_event.h: an operator of the interpreter; one that a delegate reports of itself
_OPERATOR: Final = 2
_DELEGATED_OPERATOR: Final = 8
# litert/c/litert_layout.h: rank and a flag in 4 bytes, then 8 lengths and 8 strides of 4 bytes. In a
# LiteRtRankedTensorType (litert/c/litert_model_types.h) it stands behind the element's type, of 4 bytes.
_LAYOUT_BYTES: Final = 68
_TYPE_BYTES: Final = 4

Handle = ctypes.c_void_p


class _Event(ctypes.Structure):
    """ProfiledEventData of litert/c/litert_profiler_event.h."""

    _fields_ = (
        ("tag", ctypes.c_char_p),
        ("event_type", ctypes.c_int),
        ("start_timestamp_us", ctypes.c_uint64),
        ("elapsed_time_us", ctypes.c_uint64),
        ("memory", ctypes.c_size_t * 6),
        ("metadata", ctypes.c_uint64 * 2),
        ("source", ctypes.c_int),
    )


@dataclass(frozen=True, slots=True)
class OperatorSpan:
    """One operator of one invoke. `delegated`: the name and the time are the delegate's own."""

    name: str
    span_us: int
    delegated: bool


class ProfiledModel:
    """A model under LiteRT with its profiler on; the input is zeros. Use as a context manager."""

    def __init__(self, path: Path, threads: int, xnnpack: bool) -> None:
        """Raises UnavailableError in words where this LiteRT has no profiler, or refuses the model."""
        self._library = _load_library()
        self._opened = ExitStack()
        self._kept: list[Any] = []  # what LiteRT holds a pointer to
        try:
            self._open(path, threads, xnnpack)
        except BaseException:
            self._opened.close()
            raise

    def __enter__(self) -> ProfiledModel:
        return self

    def __exit__(self, *_: object) -> None:
        self._opened.close()

    def invoke(self) -> list[OperatorSpan]:
        """Run the model once; the spans of its operators, in the order in which they ran."""
        profiler = self._profiler
        self._call("LiteRtResetProfiler", profiler)
        self._call("LiteRtStartProfiler", profiler)
        (inputs, outputs), zero = self._buffers, ctypes.c_size_t(0)
        self._call("LiteRtRunCompiledModel", self._compiled, zero, _count(inputs), inputs, _count(outputs), outputs)
        self._call("LiteRtStopProfiler", profiler)
        number = ctypes.c_int()
        self._call("LiteRtGetNumProfilerEvents", profiler, ctypes.byref(number))
        events = (_Event * number.value)()
        if number.value:
            self._call("LiteRtGetProfilerEvents", profiler, number, events)
        return [
            OperatorSpan(event.tag.decode(errors="replace"), event.elapsed_time_us, event.event_type != _OPERATOR)
            for event in events
            if event.event_type in (_OPERATOR, _DELEGATED_OPERATOR)
        ]

    def _open(self, path: Path, threads: int, xnnpack: bool) -> None:
        environment = self._create("Environment", 0, None)
        model = self._create("Model", environment, str(path).encode(), function="LiteRtCreateModelFromFile")
        options = self._create("Options")
        self._call("LiteRtSetOptionsHardwareAccelerators", options, _CPU)
        self._add_option(options, "runtime_options_string", "enable_profiling = true")
        kernels = "" if xnnpack else f"\nkernel_mode = {_BUILTIN}"
        self._add_option(options, "xnnpack", f"num_threads = {threads}{kernels}")
        self._compiled = self._create("CompiledModel", environment, model, options)
        self._buffers = tuple(self._make_buffers(environment, model, side) for side in ("Input", "Output"))
        self._profiler = Handle()
        self._call("LiteRtCompiledModelGetProfiler", self._compiled, ctypes.byref(self._profiler))

    def _make_buffers(self, environment: Handle, model: Handle, side: str) -> Any:
        """Make a buffer for each input or output; an output's shape may be known only now."""
        subgraph, index, number = Handle(), ctypes.c_size_t(), ctypes.c_size_t()
        self._call("LiteRtGetMainModelSubgraphIndex", model, ctypes.byref(index))
        self._call("LiteRtGetModelSubgraph", model, index, ctypes.byref(subgraph))
        self._call(f"LiteRtGetNumSubgraph{side}s", subgraph, ctypes.byref(number))
        layouts = ctypes.create_string_buffer(_LAYOUT_BYTES * number.value)
        if side == "Output":
            allocate, signature = ctypes.c_bool(True), ctypes.c_size_t(0)
            function = "LiteRtGetCompiledModelOutputTensorLayouts"
            self._call(function, self._compiled, signature, number, layouts, allocate)
        made = (Handle * number.value)()
        for n in range(number.value):
            tensor, needs = Handle(), Handle()
            shape = ctypes.create_string_buffer(_TYPE_BYTES + _LAYOUT_BYTES)
            at = ctypes.c_size_t(n)
            self._call(f"LiteRtGetSubgraph{side}", subgraph, at, ctypes.byref(tensor))
            self._call("LiteRtGetRankedTensorType", tensor, shape)
            if side == "Output":
                ctypes.memmove(
                    ctypes.byref(shape, _TYPE_BYTES), ctypes.byref(layouts, n * _LAYOUT_BYTES), _LAYOUT_BYTES
                )
            function = f"LiteRtGetCompiledModel{side}BufferRequirements"
            self._call(function, self._compiled, ctypes.c_size_t(0), at, ctypes.byref(needs))
            create = "LiteRtCreateManagedTensorBufferFromRequirements"
            made[n] = self._create("TensorBuffer", environment, shape, needs, function=create).value
        return made

    def _add_option(self, options: Handle, identifier: str, toml: str) -> None:
        """Add one of the options that LiteRT takes as text: litert/c/options/*.cc."""
        text, keep = ctypes.create_string_buffer(toml.encode() + b"\n"), _DELETER(lambda _: None)
        self._kept += [text, keep]
        opaque = Handle()
        self._call("LiteRtCreateOpaqueOptions", identifier.encode(), text, keep, ctypes.byref(opaque))
        self._call("LiteRtAddOpaqueOptions", options, opaque)

    def _create(self, kind: str, *arguments: Any, function: str = "") -> Handle:
        """Create something that is destroyed with this object."""
        made = Handle()
        self._call(function or f"LiteRtCreate{kind}", *arguments, ctypes.byref(made))
        destroy = getattr(self._library, f"LiteRtDestroy{kind}")
        destroy.restype = None
        self._opened.callback(destroy, made)
        return made

    def _call(self, name: str, *arguments: Any) -> None:
        try:
            status = getattr(self._library, name)(*arguments)
        except AttributeError as error:
            raise UnavailableError(
                f"this LiteRT has no {name}: it is older than what the profile is made for"
            ) from error
        if status != 0:
            raise UnavailableError(f"LiteRT's profiler does not take this model: {name} gives status {status}")


_DELETER = ctypes.CFUNCTYPE(None, ctypes.c_void_p)


def _count(handles: Any) -> ctypes.c_size_t:
    return ctypes.c_size_t(len(handles))


def _load_library() -> Any:
    spec = importlib.util.find_spec("ai_edge_litert")
    for folder in _folders(spec):
        if (folder / "libLiteRt.so").is_file():
            return ctypes.CDLL(str(folder / "libLiteRt.so"))
    raise UnavailableError("there is no ai-edge-litert with a libLiteRt.so, whose profiler tells the operators' times")


def _folders(spec: Any) -> Iterator[Path]:
    return map(Path, [] if spec is None else spec.submodule_search_locations or ())
