"""TFLite models, on any of the libraries that share TensorFlow Lite's interface, with a delegate or without."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from visiond.engine import edgetpu
from visiond.engine.edgetpu import Delegate, DelegateOrder
from visiond.engine.runtimes import model_file
from visiond.engine.runtimes.chosen import OnVersions
from visiond.engine.runtimes.installed import pip
from visiond.engine.runtimes.kernels import Kernels
from visiond.engine.runtimes.tflite_libraries import TfliteLibrary
from visiond.engine.runtimes.tflite_words import delegate_error, model_error
from visiond.engine.runtimes.unavailable import RuntimeUnavailable
from visiond.engine.tensors import Quantization, TensorInfo
from visiond.errors import ModelError

IDENTIFIER: Final = b"TFL3"  # file identifier of the TFLite schema, at bytes 4 to 8
_DELEGATED: Final = "DELEGATE"  # how a runtime names a node that a delegate has put into the graph

Details = Mapping[str, Any]  # what the runtime says of one tensor


class TfliteInterpreter:
    """A loaded model with its tensors allocated; see `visiond.engine.interpreter.Interpreter`."""

    def __init__(
        self,
        path: Path,
        threads: int,
        library: TfliteLibrary,
        why: str,
        on_versions: OnVersions,
        order: DelegateOrder | None,
        kernels: Kernels = "xnnpack",
        size: model_file.PictureSize | None = None,
    ) -> None:
        """Raises ModelError, DelegateFailed, or RuntimeUnavailable where the library does not work here."""
        self._name = path.name
        self.runtime = library.version
        self.why = why
        _check_identifier(path)
        on_versions(self.runtime)
        self._kernels = kernels
        self._size = size
        native = _construct(path, threads, library, kernels)
        self.engine = "cpu"
        self.library: str | None = None
        self.remark: str | None = None
        self._delegate: Delegate | None = None  # kept: the delegate must outlive the interpreter
        if order is None:
            self._native = self._allocate(native)
        else:
            self._delegate = edgetpu.load(
                order, library.load_delegate, lambda version: on_versions(f"{self.runtime} with {version}")
            )
            self.library = self._delegate.library
            self._native = self._allocate(self._delegated(path, threads, library, self._delegate))
        self._said = ""  # the runtime's messages of failed invokes so far
        self.input, self.outputs = self._describe()
        if order is None and self._has_open_outputs():
            self._try_once()

    def input_view(self) -> NDArray[Any]:
        """Return the input tensor's own memory; no invoke is possible while it, or any view of it, lives."""
        view: NDArray[Any] = self._native.tensor(self.input.index)()
        return view

    def set_input(self, values: NDArray[Any]) -> None:
        """Copy `values` into the input tensor."""
        self._native.set_tensor(self.input.index, values)

    def invoke(self) -> None:
        """Run the model once; raises RuntimeError when the runtime, an operator or the delegate fails."""
        try:
            self._native.invoke()
        except RuntimeError as error:
            # The runtimes put each failure's message behind all earlier ones.
            raw = str(error)
            text = raw.removeprefix(self._said) or raw
            self._said = raw
            raise RuntimeError(f"{self._name}: {' '.join(text.split())}") from error

    def read_outputs(self) -> list[NDArray[Any]]:
        """Return a copy of each output; raises RuntimeError for another shape than was announced, or none."""
        try:
            arrays: list[NDArray[Any]] = [self._native.get_tensor(info.index) for info in self.outputs]
        except ValueError as error:
            raise RuntimeError(f"{self._name}: an output cannot be read: {error}") from error
        model_file.check_output_shapes(self._name, self.outputs, arrays)
        return arrays

    def _delegated(self, path: Path, threads: int, library: TfliteLibrary, delegate: Delegate) -> Any:
        """Return the model with the delegate applied, and note whether it took anything.

        A runtime applies delegates when it is constructed and its own default one (XNNPACK), whose nodes look the
        same, when it allocates: in between, every delegated node is this delegate's. Seen with LiteRT 2.3.0 and
        tflite-runtime 2.14.0.
        """
        try:
            native = library.construct(path, threads, [delegate.native], self._kernels)
        except (RuntimeError, ValueError) as error:
            raise delegate_error(self._name, self.runtime, delegate.library, str(error)) from error
        operators = [details["op_name"] for details in native._get_ops_details()]
        if _DELEGATED in operators:
            self.engine = "edgetpu"
        else:
            self.remark = (
                f"files.edgetpu ({self._name}) is not compiled for the Edge TPU: the delegate took none of its "
                f"{len(operators)} operators, it runs on the CPU; compile it with edgetpu_compiler"
            )
        return native

    def _allocate(self, native: Any) -> Any:
        """Before allocation, shapes may be empty, and nothing is known of operators that do not exist."""
        resized = self._resize(native)
        try:
            native.allocate_tensors()
        except MemoryError as error:
            raise model_file.too_large(self._name) from error
        except (RuntimeError, ValueError) as error:
            if self._delegate is not None:
                raise delegate_error(self._name, self.runtime, self.library, str(error)) from error
            if resized:
                raise model_file.size_refused(self._name, self._size, str(error)) from error
            raise model_error(self._name, str(error)) from error
        return native

    def _resize(self, native: Any) -> bool:
        """Give a picture whose height or width is open the package's size, and a batch of one; return whether it was.

        TFLite puts 1 for an open axis: it would load, and see one pixel.
        """
        try:
            inputs = native.get_input_details()
        except ValueError as error:  # a damaged name is no UTF-8
            raise model_error(self._name, str(error)) from error
        if len(inputs) != 1 or len(inputs[0]["shape"]) != 4:
            return False
        shape = [int(side) for side in inputs[0]["shape"]]
        signature = [int(side) for side in inputs[0]["shape_signature"]] or shape
        what = f"{self._name}: input '{inputs[0]['name']}'"
        settled = model_file.picture_shape(
            what, [abs(signature[0]), *signature[1:]], model_file.CHANNELS_LAST, self._size
        )
        if -1 not in signature[1:]:
            return False
        native.resize_tensor_input(inputs[0]["index"], settled, strict=True)
        return True

    def _has_open_outputs(self) -> bool:
        return any(-1 in details["shape_signature"][1:] for details in self._native.get_output_details())

    def _try_once(self) -> None:
        """An output may be settled by the first invoke only; until then it has the shape of another picture."""
        try:
            self.invoke()
        except RuntimeError as error:
            raise model_file.size_refused(self._name, self._size, str(error)) from error
        self.input, self.outputs = self._describe()

    def _describe(self) -> tuple[TensorInfo, tuple[TensorInfo, ...]]:
        try:
            inputs, outputs = self._native.get_input_details(), self._native.get_output_details()
        except ValueError as error:  # a damaged name is no UTF-8
            raise model_error(self._name, str(error)) from error
        model_file.check_counts(self._name, [details["name"] for details in inputs], len(outputs))
        return self._tensor(inputs[0], "input"), tuple(self._tensor(details, "output") for details in outputs)

    def _tensor(self, details: Details, side: str) -> TensorInfo:
        shape = tuple(int(length) for length in details["shape"])
        signature = [int(length) for length in details["shape_signature"]]
        what = f"{self._name}: {side} '{details['name']}'"
        # An open batch (the first axis) is usual and stays at 1; a picture's other axes have been settled. An output's
        # axis may be open in the file and still be settled by the input's shape.
        if (side == "input" and len(shape) != 4 and -1 in signature[1:]) or 0 in shape:
            raise model_file.no_fixed_shape(what, signature or list(shape))
        return TensorInfo(
            int(details["index"]), str(details["name"]), shape, np.dtype(details["dtype"]), _quantization(details, what)
        )


def _construct(path: Path, threads: int, library: TfliteLibrary, kernels: Kernels) -> Any:
    """Construct without a delegate, in under a millisecond: shows a damaged file, and a library that does not work."""
    try:
        return library.construct(path, threads, [], kernels)
    except MemoryError as error:
        raise model_file.too_large(path.name) from error
    except (ValueError, RuntimeError) as error:  # a damaged name is a ValueError too: it is no UTF-8
        raise model_error(path.name, str(error)) from error
    except (SystemError, ImportError) as error:
        raise RuntimeUnavailable(
            f"{library.version} does not work with numpy {np.__version__}",
            pip("install 'numpy<2' 'opencv-python-headless<4.12'"),  # newer OpenCV wants numpy 2
        ) from error


def _check_identifier(path: Path) -> None:
    head = model_file.read_head(path, 8)
    if head[4:8] != IDENTIFIER:
        raise ModelError(
            f"{path.name} is not a TFLite model: bytes 4 to 8 are {head[4:8]!r}, not {IDENTIFIER!r}; "
            "copy or convert it again"
        )


def _quantization(details: Details, what: str) -> Quantization | None:
    parameters = details["quantization_parameters"]
    scales, zero_points = parameters["scales"], parameters["zero_points"]
    if len(scales) == 0 or np.dtype(details["dtype"]).kind == "f":
        return None
    if len(scales) > 1:
        raise ModelError(f"{what} has {len(scales)} scales, one per channel; convert the model with one per tensor")
    try:
        return Quantization(float(scales[0]), int(zero_points[0]))
    except ValueError as error:
        raise ModelError(f"{what}: {error}; convert the model again") from error
