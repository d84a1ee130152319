"""What edgetpu_compiler maps to the Edge TPU and what not, by its published rules: a forecast, without the compiler.

The rules: "Model requirements" and "Supported operations" of https://coral.ai/docs/edgetpu/models-intro, for runtime
version 14 and compiler 16. The compiler has limits that it does not publish (sizes, mostly): its log has the last word.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import prod
from typing import Final, Literal

from visiond.modelkit import tflite_schema as schema
from visiond.modelkit.edgetpu_remedies import remedy_of
from visiond.modelkit.tflite_model import EDGETPU_OPERATOR, OperatorFacts, TensorFacts, TfliteModel

Place = Literal["before", "edgetpu", "cpu"]

_TYPES: Final = ("int8", "uint8")
_INNER_AXES: Final = 3
_SOFTMAX_MAX: Final = 16_000
_Z_MULTIPLE: Final = 4
_FOLLOWS: Final = "comes after an operator that stays on the CPU: the compiler makes one part for the Edge TPU"

Rule = Callable[[TfliteModel, OperatorFacts], str | None]


@dataclass(frozen=True, slots=True)
class Verdict:
    """Where one operator would run. `reason` and `remedy` are None on the Edge TPU.

    `follows`: it could run there, but for what comes before it. `uncertain`: its size may keep it on the CPU.
    """

    operator: OperatorFacts
    on_edgetpu: bool
    reason: str | None = None
    remedy: str | None = None
    follows: bool = False
    uncertain: bool = False


def forecast(model: TfliteModel) -> list[Verdict]:
    """Say for each operator whether the compiler would map it.

    It makes one part for the chip: it begins with the first operator that can be mapped, and on each path ends at the
    first one that cannot.
    """
    places: dict[int, Place] = {}
    verdicts = []
    for operator in model.operators:
        reason = _reason(model, operator)
        before = {places.get(index, "before") for index in operator.inputs if index >= 0}
        if reason is None and "cpu" not in before:
            place: Place = "edgetpu"
            verdicts.append(Verdict(operator, True, uncertain=operator.name in _BY_SIZE))
        elif reason is None:
            place = "cpu"
            verdicts.append(Verdict(operator, False, _FOLLOWS, None, follows=True))
        else:
            place = "before" if before <= {"before"} else "cpu"
            verdicts.append(Verdict(operator, False, reason, remedy_of(operator.name, reason)))
        places |= dict.fromkeys(operator.outputs, place)
    return verdicts


def _reason(model: TfliteModel, operator: OperatorFacts) -> str | None:
    """Return why this operator cannot run on the chip, None where it can."""
    if operator.is_custom:
        if operator.name == EDGETPU_OPERATOR:
            return None
        return "is a custom operator"
    rule = _RULES.get(operator.name)
    if rule is None:
        return "is not supported"
    inputs, outputs = model.tensors_of(operator.inputs), model.tensors_of(operator.outputs)
    for tensor in (*inputs, *outputs):
        if tensor.is_dynamic:
            return f"has a shape that is open until it runs ({list(tensor.open_shape or tensor.shape)})"
    for tensor in (*(tensor for tensor in inputs if not tensor.is_constant), *outputs):
        if tensor.dtype not in _TYPES:
            return f"works on {tensor.dtype}, the chip on int8 and uint8"
        if prod(tensor.shape[:-_INNER_AXES]) != 1:
            return f"has the shape {list(tensor.shape)}: only the {_INNER_AXES} innermost axes may be longer than 1"
    return rule(model, operator)


def _any(_model: TfliteModel, _operator: OperatorFacts) -> str | None:
    return None


def _not_fused(slot: int) -> Rule:
    def rule(_model: TfliteModel, operator: OperatorFacts) -> str | None:
        number = 0 if operator.options is None else operator.options.number(slot, "b")
        if number == 0:
            return None
        known = 0 < number < len(schema.ACTIVATIONS)
        return f"has the activation {schema.ACTIVATIONS[number] if known else number} fused to it"

    return rule


def _concatenation(model: TfliteModel, operator: OperatorFacts) -> str | None:
    if fused := _not_fused(schema.CONCATENATION_ACTIVATION)(model, operator):
        return fused
    inputs = model.tensors_of(operator.inputs)
    constants = [tensor for tensor in inputs if tensor.is_constant]
    if constants and len(inputs) != 2:
        return f"has a constant among its {len(inputs)} inputs: only one of two may be constant"
    if any(set(model.values(tensor) or (None,)) != {tensor.zero_point or 0} for tensor in constants):
        return "has a constant input that is not all zeros"
    return None


def _constant_weights(model: TfliteModel, operator: OperatorFacts) -> str | None:
    parameters = [model.tensors[index] for index in operator.inputs[1:3] if index >= 0]
    if all(tensor.is_constant for tensor in parameters):
        return None
    return "has weights that are computed: they must be constant"


def _convolution(slots: tuple[int, int]) -> Rule:
    def rule(model: TfliteModel, operator: OperatorFacts) -> str | None:
        if operator.options is not None:
            x, y = (operator.options.number(slot, "i", 1) for slot in slots)
            if x != y:
                return f"has the dilation {x} in x and {y} in y: they must be equal"
        return _constant_weights(model, operator)

    return rule


def _fully_connected(model: TfliteModel, operator: OperatorFacts) -> str | None:
    if operator.options is not None and operator.options.number(schema.FULLY_CONNECTED_WEIGHTS_FORMAT, "b"):
        return "has shuffled weights: only the default format is supported"
    output = _first(model.tensors_of(operator.outputs))
    if output is not None and prod(output.shape[:-1]) != 1:
        return f"has the output {list(output.shape)}: only one row is supported"
    return _constant_weights(model, operator)


def _softmax(model: TfliteModel, operator: OperatorFacts) -> str | None:
    tensor = _first(model.tensors_of(operator.inputs))
    if tensor is None or not tensor.shape:
        return None
    if prod(tensor.shape[:-1]) != 1:
        return f"has the input {list(tensor.shape)}: only one row is supported"
    if tensor.shape[-1] > _SOFTMAX_MAX:
        return f"has {tensor.shape[-1]} values: at most {_SOFTMAX_MAX} are supported"
    return None


def _prelu(model: TfliteModel, operator: OperatorFacts) -> str | None:
    alpha = _at(model, operator, 1)
    if alpha is not None and prod(alpha.shape[:-1]) != 1:
        return f"has the slopes {list(alpha.shape)}: only the innermost axis may be longer than 1"
    return None


def _reduction(z_multiple: int = 1) -> Rule:
    def rule(model: TfliteModel, operator: OperatorFacts) -> str | None:
        tensor = _first(model.tensors_of(operator.inputs))
        axes = _constant(model, operator, 1)
        if tensor is None or axes is None:
            return "has axes that are not constant"
        rank = len(tensor.shape)
        axes = tuple(axis % rank for axis in axes) if rank else ()
        if rank > 1 and 0 in axes:
            return "reduces the batch axis"
        if rank > 1 and rank - 1 in axes and tensor.shape[-1] % z_multiple:
            return f"reduces {tensor.shape[-1]} channels: the number must be a multiple of {z_multiple}"
        return None

    return rule


def _pad(model: TfliteModel, operator: OperatorFacts) -> str | None:
    paddings = _constant(model, operator, 1)
    if paddings is None:
        return "has paddings that are not constant"
    return "pads the batch axis" if len(paddings) > 4 and any(paddings[:2]) else None


def _pack(_model: TfliteModel, operator: OperatorFacts) -> str | None:
    axis = 0 if operator.options is None else operator.options.number(schema.PACK_AXIS, "i")
    return None if axis else "packs along the batch axis"


def _split(model: TfliteModel, operator: OperatorFacts) -> str | None:
    axis, tensor = _constant(model, operator, 0), _at(model, operator, 1)
    if not axis or tensor is None:
        return "has an axis that is not constant"
    rank = len(tensor.shape)
    return "splits along the batch axis" if rank > 1 and axis[0] % rank == 0 else None


def _strided_slice(model: TfliteModel, operator: OperatorFacts) -> str | None:
    strides = _constant(model, operator, 3)
    if strides is None or any(stride != 1 for stride in strides):
        return f"has the strides {'of a tensor' if strides is None else list(strides)}: all must be 1"
    for slot, name in (
        (schema.STRIDED_SLICE_ELLIPSIS_MASK, "ellipsis"),
        (schema.STRIDED_SLICE_NEW_AXIS_MASK, "new-axis"),
    ):
        if operator.options is not None and operator.options.number(slot, "i"):
            return f"has an {name} mask" if name == "ellipsis" else f"has a {name} mask"
    return None


def _resize(model: TfliteModel, operator: OperatorFacts) -> str | None:
    for tensor in (*model.tensors_of(operator.inputs[:1]), *model.tensors_of(operator.outputs)):
        if prod(tensor.shape[:-_INNER_AXES]) != 1:
            return f"has the shape {list(tensor.shape)}: only one picture is supported"
    return None


def _first(tensors: tuple[TensorFacts, ...]) -> TensorFacts | None:
    return tensors[0] if tensors else None


def _at(model: TfliteModel, operator: OperatorFacts, position: int) -> TensorFacts | None:
    """Return an input by its position, None where it is left out."""
    index = operator.inputs[position] if position < len(operator.inputs) else -1
    return None if index < 0 else model.tensors[index]


def _constant(model: TfliteModel, operator: OperatorFacts, position: int) -> tuple[int, ...] | None:
    tensor = _at(model, operator, position)
    return None if tensor is None else model.values(tensor)


_BY_SIZE: Final = frozenset({"RESHAPE", "RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR"})  # "depending on … size"

_RULES: Final[Mapping[str, Rule]] = {
    **dict.fromkeys(
        (
            *("ADD", "MAXIMUM", "MINIMUM", "MUL", "SQUARED_DIFFERENCE", "SUB"),
            *("LOGISTIC", "RELU", "RELU6", "RELU_N1_TO_1", "RSQRT", "TANH"),
            *("EXPAND_DIMS", "RESHAPE", "SLICE", "SPACE_TO_DEPTH", "SQUEEZE", "TRANSPOSE"),
            *("L2_NORMALIZATION", "LSTM", "UNIDIRECTIONAL_SEQUENCE_LSTM", "QUANTIZE", "TRANSPOSE_CONV"),
        ),
        _any,
    ),
    "AVERAGE_POOL_2D": _not_fused(schema.POOL_ACTIVATION),
    "MAX_POOL_2D": _not_fused(schema.POOL_ACTIVATION),
    "CONCATENATION": _concatenation,
    "CONV_2D": _convolution(schema.CONV_DILATION),
    "DEPTHWISE_CONV_2D": _convolution(schema.DEPTHWISE_CONV_DILATION),
    "FULLY_CONNECTED": _fully_connected,
    "MEAN": _reduction(_Z_MULTIPLE),
    "REDUCE_MAX": _reduction(),
    "REDUCE_MIN": _reduction(),
    "SUM": _reduction(),
    "PACK": _pack,
    "PAD": _pad,
    "PRELU": _prelu,
    "RESIZE_BILINEAR": _resize,
    "RESIZE_NEAREST_NEIGHBOR": _resize,
    "SOFTMAX": _softmax,
    "SPLIT": _split,
    "STRIDED_SLICE": _strided_slice,
}
