"""From a graph to the bytes of a TFLite file, one function for all variants, and what it says when that fails."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from visiond.errors import DataError, UnavailableError
from visiond.modelkit.convert.child.graph import Graph

Tensors = Callable[[], Iterator[NDArray[np.float32]]]

_NO_ROOM: Final = ("No space left on device", "File too large", "Disk quota exceeded")
_FLEX: Final = re.compile(r"TF Select ops: ([^\n]+)")
_CUSTOM: Final = re.compile(r"Custom ops: ([^\n]+)")
_FAILED: Final = re.compile(r"'(tf\.\w+)' op is neither a custom op nor a flex op")


class Unexplained(DataError):
    """TensorFlow's own words, which the log says more of."""


def converted(graph: Graph, variant: str, io_type: str, fake_quantized: bool, tensors: Tensors | None) -> bytes:
    """Return the file of `variant` (float32, float16, dynamic or int8; `io_type` int8 or uint8 is the last one's).

    `fake_quantized`: the graph has the ranges of its training; then int8 takes them and no picture is looked at.
    Else it needs `tensors`. Raises DataError that names the operators which TFLite does not have.
    """
    import tensorflow as tf

    converter = tf.lite.TFLiteConverter.from_concrete_functions([graph.function])
    if variant != "float32":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if variant == "float16":
        converter.target_spec.supported_types = [tf.float16]
    if variant == "int8":
        converter.inference_input_type = converter.inference_output_type = tf.as_dtype(io_type)
    if variant == "int8" and not fake_quantized:
        assert tensors is not None, "the order was checked"
        converter.representative_dataset = lambda: ([tensor] for tensor in tensors())
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    try:
        content: bytes = converter.convert()
    except (DataError, OSError, MemoryError):
        raise
    except Exception as error:  # ConverterError, ValueError, RuntimeError, and those of TensorFlow
        raise _in_words(variant, error) from error
    return content


def _in_words(variant: str, error: Exception) -> Exception:
    text = str(error)
    if isinstance(error.__cause__, DataError):
        return error.__cause__
    if any(words in text for words in _NO_ROOM):
        return UnavailableError(
            "there is no room for TensorFlow's own files; make some, or give another folder with --to"
        )
    flex = sorted({name.strip() for found in _FLEX.findall(text) for name in found.split(",")})
    custom = sorted({name.strip() for found in _CUSTOM.findall(text) for name in found.split(",")})
    failed = sorted(set(_FAILED.findall(text)))
    if flex or custom or failed:
        return DataError(
            f"TFLite has no operators for {', '.join(flex or custom or failed)} of this model; replace them in the "
            "model, or leave them to the program behind it"
        )
    last = next((line.strip() for line in reversed(text.splitlines()) if line.strip()), type(error).__name__)
    return Unexplained(f"TensorFlow cannot convert the model to {variant}: {last[:300]}; its last words are above")


def difference(content: bytes, graph: Graph, tensor: NDArray[np.float32]) -> float | None:
    """Return how far the float file's outputs are from the source's own, as a share of the source's largest value.

    None where their shapes do not pair, infinity where one is not a number. Raises nothing for a wrong file.
    """
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=content, num_threads=1)
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], tensor)
    interpreter.invoke()
    ours: list[NDArray[Any]] = [interpreter.get_tensor(each["index"]) for each in interpreter.get_output_details()]
    return paired_difference(ours, graph.reference(tensor))


def paired_difference(ours: list[NDArray[Any]], theirs: list[NDArray[Any]]) -> float | None:
    """Return the largest difference of outputs in their order; those of four axes may have their channels first."""
    if len(ours) != len(theirs):
        return None
    worst = 0.0
    for one, other in zip(ours, theirs, strict=True):
        paired = other.transpose(0, 2, 3, 1) if one.shape != other.shape and other.ndim == 4 else other
        if one.shape != paired.shape:
            return None
        expected = paired.astype(np.float64)
        with np.errstate(invalid="ignore"):
            apart = np.abs(one - expected).max(initial=0.0) / max(np.abs(expected).max(initial=0.0), 1e-6)
        worst = max(worst, float(apart) if np.isfinite(apart) else float("inf"))
    return worst
