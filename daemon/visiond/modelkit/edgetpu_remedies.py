"""What to do about an operator that does not run on the Edge TPU, in the words of someone who trains the model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

_ACTIVATION: Final = "train with ReLU or ReLU6 in its place"
_AFTERWARDS: Final = (
    "end the model before it and compute it from the outputs; on the CPU it costs little where it comes last"
)
_DILATED: Final = "convert with a newer TensorFlow, which makes one dilated CONV_2D of what stands between the two"
_ON_THE_CPU: Final = "nothing: it comes last and always runs on the CPU"

_REMEDIES: Final[Mapping[str, str]] = {
    "LEAKY_RELU": f"{_ACTIVATION}, or write it as tf.maximum(x, alpha * x), which becomes MUL and MAXIMUM",
    "HARD_SWISH": f"{_ACTIVATION} (MobileNetV3 minimalistic has it so), or write it as x * relu6(x + 3) / 6",
    "ELU": _ACTIVATION,
    "GELU": f"{_ACTIVATION}, or write it as x * sigmoid(1.702 * x)",
    "PRELU": "give it one slope per channel: PReLU(shared_axes=[1, 2])",
    "DIV": "multiply by the reciprocal: MUL is supported",
    "SQUARE": "multiply by itself: MUL is supported",
    "ABS": "write it as maximum(x, -x)",
    "NEG": "subtract from zero, or multiply by -1",
    "PADV2": "pad with zeros, which becomes PAD",
    "MIRROR_PAD": "pad with zeros, which becomes PAD",
    "SPLIT_V": "split into equal parts, which becomes SPLIT, or take SLICEs",
    "UNPACK": "take SLICEs or a SPLIT",
    "TILE": "add or multiply instead, which repeat by themselves",
    "BATCH_MATMUL": "use Dense or 1x1 convolutions, whose weights are constant",
    "SPACE_TO_BATCH_ND": _DILATED,
    "BATCH_TO_SPACE_ND": _DILATED,
    "DEPTH_TO_SPACE": "use RESIZE_NEAREST_NEIGHBOR or TRANSPOSE_CONV to enlarge",
    "FULLY_CONNECTED": "flatten before it, or use a 1x1 convolution",
    "ARG_MAX": _AFTERWARDS,
    "ARG_MIN": _AFTERWARDS,
    "TOPK_V2": _AFTERWARDS,
    "GATHER": _AFTERWARDS,
    "GATHER_ND": _AFTERWARDS,
    "SOFTMAX": _AFTERWARDS,
    "EXP": _AFTERWARDS,
    "NON_MAX_SUPPRESSION_V4": _AFTERWARDS,
    "NON_MAX_SUPPRESSION_V5": _AFTERWARDS,
    "TFLite_Detection_PostProcess": _ON_THE_CPU,
    "DEQUANTIZE": "convert with inference_output_type int8 or uint8; the outputs are dequantized here in any case",
    "CAST": "convert with inference_input_type uint8 or int8, and feed pixels without a cast in the model",
}
_FLOAT: Final = "quantize the whole model to int8, weights and activations, with a representative set of pictures"
_FLOAT_EDGE: Final = "convert with inference_input_type and inference_output_type int8 or uint8"
_OPEN: Final = "convert with fixed shapes and batch size 1"
_FUSED: Final = "put the activation into a layer of its own behind it"
_CUSTOM: Final = "convert with built-in operators only"
OTHER: Final = "use supported operators in its place, or move it behind all that should run on the Edge TPU"


def remedy_of(name: str, reason: str, otherwise: str = OTHER) -> str:
    """Return what to do about operator `name`, which does not run on the chip for `reason`; `otherwise` if unknown."""
    if reason.startswith("works on ") and name == "QUANTIZE":
        return _FLOAT_EDGE
    if reason.startswith("works on float") and name not in ("DEQUANTIZE", "CAST"):
        return _FLOAT
    if "open until" in reason or "innermost axes" in reason or "batch" in reason:
        return _OPEN
    if "fused" in reason:
        return _FUSED
    known = _REMEDIES.get(name)
    if known is not None:
        return known
    return _CUSTOM if reason == "is a custom operator" else otherwise
