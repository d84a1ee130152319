"""Graph: a trained model as one TensorFlow function of one picture, whatever file it came from, and what is in it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from visiond.errors import DataError

_FAKE_QUANTIZATION: Final = ("FakeQuant", "QuantizeAndDequantize")  # prefixes of the operators' names

Reference = Callable[[NDArray[np.float32]], list[NDArray[Any]]]


@dataclass(frozen=True, slots=True)
class Graph:
    """A concrete function of a float32 tensor (1, height, width, channels); its variables have become constants.

    `reference` computes the model as its own framework does, from that same tensor: what a converted file has to agree
    with.
    """

    function: Any
    shape: tuple[int, int, int, int]
    kind: str
    reference: Reference


@dataclass(frozen=True, slots=True)
class Contents:
    """`weights`: numbers in kernels and matrices; `zeros` of them are 0, which compresses. `fake_quantized`: operators
    that carry the ranges of a quantization-aware training."""

    weights: int
    zeros: int
    fake_quantized: int


def graph_of(
    call: Callable[[Any], Any], shape: tuple[int, int, int, int], kind: str, reference: Reference | None = None
) -> Graph:
    """Trace `call`, which returns a tensor or several, for inputs of `shape`.

    The converter could do the freezing too; of a Keras 3 model it loses the weights then, without a word.
    """
    import tensorflow as tf
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    function = tf.function(call).get_concrete_function(tf.TensorSpec(shape, tf.float32, "input"))

    def run(values: NDArray[np.float32]) -> list[NDArray[Any]]:
        return [np.asarray(each) for each in tf.nest.flatten(function(tf.constant(values)))]

    return Graph(convert_variables_to_constants_v2(function), shape, kind, reference or run)


def contents(graph: Graph) -> Contents:
    """Count what is in the graph."""
    from tensorflow.python.framework import tensor_util

    definition = graph.function.graph.as_graph_def()
    weights = zeros = 0
    for node in definition.node:
        if node.op == "Const" and len(node.attr["value"].tensor.tensor_shape.dim) >= 2:
            values = tensor_util.MakeNdarray(node.attr["value"].tensor)
            if values.dtype.kind == "f":
                weights += values.size
                zeros += int(values.size - np.count_nonzero(values))
    return Contents(weights, zeros, sum(op.startswith(_FAKE_QUANTIZATION) for op in _operators(definition)))


def picture_shape(
    shape: Sequence[int | None], what: str, size: tuple[int, int] | None, channels_first: bool = False
) -> tuple[int, int, int, int]:
    """Return (1, height, width, channels) for a model's declared input; `size`: (width, height) where that is open.

    Raises DataError where no single picture fits into it, or it fits another size than the recipe's.
    """
    if len(shape) != 4:
        raise DataError(
            f"{what} takes {_text(shape)}, and a picture is [1, height, width, channels]; convert the part of it that "
            "takes one"
        )
    batch, height, width, channels = (shape[0], shape[2], shape[3], shape[1]) if channels_first else shape
    if channels not in (1, 3):
        order = (
            "its channels come first; build it with channels last"
            if shape[1] in (1, 3) and not channels_first
            else "give it an input of 1 or 3 channels"
        )
        raise DataError(f"{what} takes {_text(shape)}, and visiond feeds pictures of 1 or 3 channels; {order}")
    if batch not in (1, None):
        raise DataError(f"{what} takes {batch} pictures at a time, and a camera gives one; build it for a batch of 1")
    if size is not None:
        for side, declared, wanted in (("width", width, size[0]), ("height", height, size[1])):
            if declared is not None and declared != wanted:
                raise DataError(f"{what} has the {side} {declared} and not {wanted}; leave out --size")
        return 1, size[1], size[0], channels
    if height is None or width is None:
        raise DataError(f"{what} takes pictures of any size ({_text(shape)}); say which: --size WIDTH HEIGHT")
    return 1, height, width, channels


def _text(shape: Iterable[int | None]) -> str:
    return "[" + ", ".join("any" if each is None else str(each) for each in shape) + "]"


def _operators(definition: Any) -> list[str]:
    return [node.op for node in definition.node] + [
        node.op for function in definition.library.function for node in function.node_def
    ]
