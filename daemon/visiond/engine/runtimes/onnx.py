"""ONNX models on ONNX Runtime's CPU part, behind the interface that the TFLite ones have.

PyTorch exports pictures as NCHW, the rest of this program makes NHWC: where the graph wants its channels first, the
picture is written into a staging buffer and turned round once, at the invoke. The same copy makes float16 of float32.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from visiond.engine.runtimes import model_file
from visiond.engine.runtimes.chosen import OnVersions
from visiond.engine.runtimes.installed import import_runtime, pip, version_of
from visiond.engine.runtimes.onnx_words import onnx_error
from visiond.engine.tensors import Quantization, TensorInfo
from visiond.errors import ModelError, VisiondError
from visiond.modelkit.onnx_file import open_onnx
from visiond.modelkit.onnx_model import Axis, batch_of_one, is_channels_first
from visiond.modelkit.tflite_model import printable

_DTYPES: Final = {  # ONNX Runtime's names of types that NumPy has too
    "float": "float32",
    "float16": "float16",
    "double": "float64",
    "bool": "bool",
    **{kind: kind for kind in ("uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64")},
}
_INTEGERS: Final = ("tensor(uint8)", "tensor(int8)", "tensor(uint16)", "tensor(int16)")
_PICTURE_RANK: Final = 4


class OnnxInterpreter:
    """A loaded model; see `visiond.engine.interpreter.Interpreter`.

    ONNX has no quantized tensors: an integer input or output that goes straight into a DequantizeLinear, or comes
    straight from a QuantizeLinear, has that operator's scale and zero point.
    """

    engine: Final = "cpu"
    library: Final = None
    remark: Final = None

    def __init__(
        self,
        path: Path,
        threads: int,
        why: str,
        on_versions: OnVersions,
        size: model_file.PictureSize | None = None,
    ) -> None:
        """Raises ModelError, or RuntimeUnavailable where ONNX Runtime is not installed."""
        self._name = path.name
        self._path = path
        self._size = size
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
        self._quantizations = self._read_quantizations()
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
            np.copyto(tensor, self._staging.transpose(self._turned), casting="same_kind")
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
        # Its threads would go on spinning after each picture: three times the CPU time, taken from cameras and others.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = 3  # errors: a warning for each operator is no help to a technician
        try:
            return runtime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except MemoryError as error:
            raise model_file.too_large(self._name) from error
        except self._errors as error:
            raise onnx_error(path, str(error)) from error

    def _read_quantizations(self) -> dict[str, Quantization]:
        """What the numbers of integer inputs and outputs stand for, by name: the runtime does not tell."""
        nodes = (*self._session.get_inputs(), *self._session.get_outputs())
        if not any(node.type in _INTEGERS for node in nodes):
            return {}
        try:
            with open_onnx(self._path) as model:
                return {
                    value.name: Quantization(value.scale, value.zero_point)
                    for value in (*model.inputs, *model.outputs)
                    if value.scale is not None and value.zero_point is not None
                }
        except VisiondError as error:
            raise ModelError(str(error)) from error

    def _prepare_input(self, node: Any) -> tuple[dict[str, NDArray[Any]], TensorInfo, NDArray[Any]]:
        """Return what the graph is fed with, the input as NHWC, and the buffer of that; often one and the same."""
        what = f"{self._name}: input '{node.name}'"
        dtype, shape = _dtype(node, what), batch_of_one(tuple(node.shape))
        first = is_channels_first(shape)
        if len(shape) == _PICTURE_RANK:
            axes = model_file.CHANNELS_FIRST if first else model_file.CHANNELS_LAST
            fixed = model_file.picture_shape(what, shape, axes, self._size)
        else:
            fixed = _fixed(shape) or ()
        if not fixed or 0 in fixed:
            raise model_file.no_fixed_shape(what, shape)
        tensor: NDArray[Any] = np.zeros(fixed, dtype)
        shown = np.dtype(np.float32) if dtype == np.float16 else dtype  # what pictures become; half of it at the invoke
        staging = tensor if shown == dtype and not first else np.zeros(_channels_last(fixed) if first else fixed, shown)
        self._turned = (0, 3, 1, 2) if first else tuple(range(len(fixed)))
        info = TensorInfo(0, node.name, staging.shape, shown, self._quantizations.get(printable(node.name)))
        return {node.name: tensor}, info, staging

    def _describe_outputs(self) -> tuple[TensorInfo, ...]:
        """An axis may be open in the file and yet be settled by the input's shape: then a trial shows it."""
        nodes = self._session.get_outputs()
        what = [f"{self._name}: output '{node.name}'" for node in nodes]
        dtypes = [_dtype(node, each) for node, each in zip(nodes, what, strict=True)]
        shapes = [_fixed(batch_of_one(tuple(node.shape))) for node in nodes]
        if None in shapes or _fixed(batch_of_one(tuple(self._session.get_inputs()[0].shape))) is None:
            try:
                self.invoke()
            except RuntimeError as error:
                raise model_file.size_refused(self._name, self._size, str(error)) from error
            shapes = [array.shape for array in self._arrays or ()]
        infos = []
        for index, (node, shape, dtype) in enumerate(zip(nodes, shapes, dtypes, strict=True)):
            if shape is None or 0 in shape:
                raise model_file.no_fixed_shape(what[index], node.shape)
            infos.append(TensorInfo(index, node.name, shape, dtype, self._quantizations.get(printable(node.name))))
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


def _fixed(shape: Sequence[Axis]) -> tuple[int, ...] | None:
    axes = [axis for axis in shape if isinstance(axis, int)]
    return tuple(axes) if len(axes) == len(shape) else None


def _channels_last(shape: tuple[int, ...]) -> tuple[int, ...]:
    batch, channels, height, width = shape
    return batch, height, width, channels
