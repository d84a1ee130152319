"""ONNX models on ONNX Runtime's CPU part, behind the interface that the TFLite ones have.

PyTorch exports pictures as NCHW, the rest of this program makes NHWC: where the graph wants its channels first, the
picture is written into a staging buffer and turned round once, at the invoke.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from visiond.engine.runtimes import model_file
from visiond.engine.runtimes.chosen import OnVersions
from visiond.engine.runtimes.installed import import_runtime, pip, version_of
from visiond.engine.runtimes.onnx_words import onnx_error
from visiond.engine.tensors import TensorInfo
from visiond.errors import ModelError

_DTYPES: Final = {  # ONNX Runtime's names of types that NumPy has too
    "float": "float32",
    "float16": "float16",
    "double": "float64",
    "bool": "bool",
    **{kind: kind for kind in ("uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64")},
}
_CHANNELS: Final = (1, 3)


class OnnxInterpreter:
    """A loaded model; see `visiond.engine.interpreter.Interpreter`. Its tensors carry no quantization."""

    engine: Final = "cpu"
    library: Final = None
    remark: Final = None

    def __init__(self, path: Path, threads: int, why: str, on_versions: OnVersions) -> None:
        """Raises ModelError, or RuntimeUnavailable where ONNX Runtime is not installed."""
        self._name = path.name
        model_file.read_head(path, 1)
        runtime = import_runtime("onnxruntime", "ONNX Runtime", pip("install onnxruntime"))
        self.runtime = f"ONNX Runtime {version_of('onnxruntime', runtime)}"
        self.why = why
        on_versions(self.runtime)
        self._errors = _errors_of(runtime)
        self._session = self._load(runtime, path, threads)
        self._arrays: list[NDArray[Any]] | None = None
        inputs = self._session.get_inputs()
        model_file.check_counts(self._name, [each.name for each in inputs], len(self._session.get_outputs()))
        self._feed, self.input, self._staging = self._prepare_input(inputs[0])
        self.outputs: tuple[TensorInfo, ...] = self._describe_outputs()

    def input_view(self) -> NDArray[Any]:
        """Return the buffer, NHWC, that the next invoke reads."""
        return self._staging

    def set_input(self, values: NDArray[Any]) -> None:
        """Copy `values` into that buffer; raises ValueError for another shape or dtype than the input's."""
        if values.shape != self.input.shape or values.dtype != self.input.dtype:
            raise ValueError(
                f"{self._name}: the input is {list(self.input.shape)} of {self.input.dtype}, "
                f"not {list(values.shape)} of {values.dtype}"
            )
        np.copyto(self._staging, values)

    def invoke(self) -> None:
        """Run the model once; raises RuntimeError when an operator fails."""
        (tensor,) = self._feed.values()
        if tensor is not self._staging:
            np.copyto(tensor, self._staging.transpose(0, 3, 1, 2))
        self._arrays = None
        try:
            self._arrays = self._session.run(None, self._feed)
        except self._errors as error:
            raise RuntimeError(f"{self._name}: {' '.join(str(error).split())}") from error

    def read_outputs(self) -> list[NDArray[Any]]:
        """Return each output of the last invoke; raises RuntimeError for another shape than was announced, or none."""
        if self._arrays is None:
            raise RuntimeError(f"{self._name}: an output cannot be read: nothing was computed")
        model_file.check_output_shapes(self._name, self.outputs, self._arrays)
        return list(self._arrays)

    def _load(self, runtime: Any, path: Path, threads: int) -> Any:
        options = runtime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3  # errors: a warning for each operator is no help to a technician
        try:
            return runtime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except MemoryError as error:
            raise model_file.too_large(self._name) from error
        except self._errors as error:
            raise onnx_error(self._name, str(error)) from error

    def _prepare_input(self, node: Any) -> tuple[dict[str, NDArray[Any]], TensorInfo, NDArray[Any]]:
        """Return what the graph is fed with, the input as NHWC, and the buffer of that; often one and the same."""
        what = f"{self._name}: input '{node.name}'"
        dtype, shape = _dtype(node, what), _with_batch_of_one(node.shape)
        fixed = _fixed(shape)
        if fixed is None or 0 in fixed:
            raise model_file.no_fixed_shape(what, shape)
        tensor: NDArray[Any] = np.zeros(fixed, dtype)
        if not _channels_first(fixed):
            return {node.name: tensor}, TensorInfo(0, node.name, fixed, dtype), tensor
        batch, channels, height, width = fixed
        nhwc = (batch, height, width, channels)
        return {node.name: tensor}, TensorInfo(0, node.name, nhwc, dtype), np.zeros(nhwc, dtype)

    def _describe_outputs(self) -> tuple[TensorInfo, ...]:
        """An axis may be open in the file and yet be settled by the input's shape: then a trial shows it."""
        nodes = self._session.get_outputs()
        what = [f"{self._name}: output '{node.name}'" for node in nodes]
        dtypes = [_dtype(node, each) for node, each in zip(nodes, what, strict=True)]
        shapes = [_fixed(_with_batch_of_one(node.shape)) for node in nodes]
        if None in shapes:
            try:
                self.invoke()
            except RuntimeError as error:
                raise ModelError(f"{error}; export the model again with fixed shapes") from error
            shapes = [array.shape for array in self._arrays or ()]
        infos = []
        for index, (node, shape, dtype) in enumerate(zip(nodes, shapes, dtypes, strict=True)):
            if shape is None or 0 in shape:
                raise model_file.no_fixed_shape(what[index], node.shape)
            infos.append(TensorInfo(index, node.name, shape, dtype))
        return tuple(infos)


def _errors_of(runtime: Any) -> tuple[type[Exception], ...]:
    """ONNX Runtime's own errors have no common base but Exception."""
    own = vars(runtime.capi.onnxruntime_pybind11_state).values()
    return (RuntimeError, ValueError, *(e for e in own if isinstance(e, type) and issubclass(e, Exception)))


def _dtype(node: Any, what: str) -> np.dtype[Any]:
    kind = node.type.removeprefix("tensor(").removesuffix(")")
    if kind not in _DTYPES:
        raise ModelError(f"{what} is a {node.type}, which is not supported; export the model with float32 or uint8")
    return np.dtype(_DTYPES[kind])


def _with_batch_of_one(shape: list[int | str | None]) -> list[int | str | None]:
    """An open axis has a name, or None; the first one is the batch, and of that this program makes one picture."""
    return [1, *shape[1:]] if shape and not isinstance(shape[0], int) else list(shape)


def _fixed(shape: list[int | str | None]) -> tuple[int, ...] | None:
    axes = [axis for axis in shape if isinstance(axis, int)]
    return tuple(axes) if len(axes) == len(shape) else None


def _channels_first(shape: tuple[int, ...]) -> bool:
    """A picture of one or three channels: they are on the axis that has that length; ONNX's own order is NCHW."""
    return len(shape) == 4 and shape[1] in _CHANNELS and (shape[3] not in _CHANNELS or shape[1] >= shape[3])
