"""The forecast of what the Edge TPU compiler maps: each published rule, and a real model beside the compiler's log."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as litert

from tflite_writer import Graph, Operator, Tensor
from visiond.modelkit.compiler_log import read_log
from visiond.modelkit.edgetpu_rules import Verdict, forecast
from visiond.modelkit.tflite_file import open_model

Q = (0.5, 0)


def act(name: str, *shape: int, dtype: str = "int8") -> Tensor:
    return Tensor(name, shape, dtype, Q if dtype in ("int8", "uint8") else None)


def ints(name: str, *values: int) -> Tensor:
    return Tensor(name, [len(values)], "int32", constant=np.array(values, np.int32))


def weights(*shape: int) -> Tensor:
    return Tensor("weights", shape, "int8", Q, constant=np.ones(shape, np.int8))


def options(kind: str, **values: object) -> object:
    made = getattr(litert, f"{kind}OptionsT")()
    for name, value in values.items():
        assert hasattr(made, name)
        setattr(made, name, value)
    return made


def judge(tmp_path: Path, graph: Graph) -> list[Verdict]:
    with open_model(graph.write(tmp_path / "m.tflite")) as model:
        return forecast(model)


def only(tmp_path: Path, code: str, tensors: list[Tensor], extra: object = None) -> Verdict:
    """The verdict on one operator; the last tensor is its output, the first one the model's input."""
    last = len(tensors) - 1
    graph = Graph(tensors, [0], [last], [Operator(code, list(range(last)), [last], extra)])
    (verdict,) = judge(tmp_path, graph)
    return verdict


IN, OUT = act("in", 1, 8, 8, 16), act("out", 1, 8, 8, 16)

SUPPORTED = [
    ("RELU6", [IN, OUT], None),
    ("ADD", [IN, IN, OUT], None),
    ("LOGISTIC", [act("in", 1, 8, dtype="uint8"), act("out", 1, 8, dtype="uint8")], None),
    ("CONV_2D", [IN, weights(16, 1, 1, 16), OUT], options("Conv2D", dilationWFactor=2, dilationHFactor=2)),
    ("DEPTHWISE_CONV_2D", [IN, weights(1, 1, 1, 16), OUT], options("DepthwiseConv2D")),
    ("MAX_POOL_2D", [IN, OUT], options("Pool2D")),
    ("CONCATENATION", [IN, IN, act("out", 1, 8, 8, 32)], options("Concatenation", axis=3)),
    ("FULLY_CONNECTED", [act("in", 1, 64), weights(10, 64), act("out", 1, 10)], options("FullyConnected")),
    ("SOFTMAX", [act("in", 1, 1001), act("out", 1, 1001)], None),
    ("SOFTMAX", [act("in", 1, 16000), act("out", 1, 16000)], None),
    ("MEAN", [IN, ints("axes", 1, 2), act("out", 1, 16)], None),
    ("MEAN", [IN, ints("axes", 3), act("out", 1, 8, 8)], None),
    ("SUM", [IN, ints("axes", -1), act("out", 1, 8, 8)], None),
    ("PAD", [IN, ints("pads", 0, 0, 1, 1, 1, 1, 0, 0), act("out", 1, 10, 10, 16)], None),
    ("PACK", [IN, IN, OUT], options("Pack", axis=3)),
    ("STRIDED_SLICE", [IN, ints("b", 0, 0), ints("e", 1, 4), ints("s", 1, 1), OUT], options("StridedSlice")),
    ("PRELU", [IN, weights(1, 1, 16), OUT], None),
    ("RESIZE_BILINEAR", [IN, ints("size", 16, 16), act("out", 1, 16, 16, 16)], None),
]

UNSUPPORTED = [
    ("LEAKY_RELU", [IN, OUT], None, "is not supported", "tf.maximum(x, alpha * x)"),
    ("HARD_SWISH", [IN, OUT], None, "is not supported", "ReLU6"),
    ("GATHER", [IN, ints("i", 0), OUT], None, "is not supported", "end the model before it"),
    ("ERF", [IN, OUT], None, "is a custom operator", "built-in operators only"),
    (
        "RELU",
        [act("in", 1, 8, dtype="float32"), act("out", 1, 8, dtype="float32")],
        None,
        "works on float32",
        "quantize",
    ),
    ("RELU", [act("in", 1, 8, dtype="int16"), act("out", 1, 8, dtype="int16")], None, "works on int16", ""),
    (
        "QUANTIZE",
        [act("in", 1, 8, dtype="float32"), act("out", 1, 8)],
        None,
        "works on float32",
        "inference_input_type",
    ),
    ("RELU", [act("in", 2, 8, 8, 4), act("out", 2, 8, 8, 4)], None, "[2, 8, 8, 4]: only the 3", "batch size 1"),
    (
        "RELU",
        [Tensor("in", [1, 8], "int8", Q, signature=[-1, 8]), act("out", 1, 8)],
        None,
        "open until it runs ([-1, 8])",
        "fixed shapes",
    ),
    (
        "CONV_2D",
        [IN, weights(16, 1, 1, 16), OUT],
        options("Conv2D", dilationWFactor=2, dilationHFactor=1),
        "the dilation 2 in x and 1 in y",
        "",
    ),
    ("CONV_2D", [IN, act("computed", 1, 1, 1, 16), OUT], options("Conv2D"), "weights that are computed", ""),
    ("AVERAGE_POOL_2D", [IN, OUT], options("Pool2D", fusedActivationFunction=3), "RELU6 fused", "a layer of its own"),
    ("CONCATENATION", [IN, IN, OUT], options("Concatenation", axis=3, fusedActivationFunction=1), "RELU fused", ""),
    ("CONCATENATION", [IN, weights(1, 8, 8, 16), OUT], options("Concatenation"), "not all zeros", ""),
    (
        "FULLY_CONNECTED",
        [act("in", 7, 64), weights(10, 64), act("out", 7, 10)],
        options("FullyConnected"),
        "the output [7, 10]: only one row",
        "1x1 convolution",
    ),
    (
        "FULLY_CONNECTED",
        [act("in", 1, 64), weights(10, 64), act("out", 1, 10)],
        options("FullyConnected", weightsFormat=1),
        "shuffled weights",
        "",
    ),
    ("SOFTMAX", [act("in", 1, 4, 100), act("out", 1, 4, 100)], None, "only one row", ""),
    ("SOFTMAX", [act("in", 1, 16001), act("out", 1, 16001)], None, "16001 values: at most 16000", ""),
    ("MEAN", [act("in", 1, 8, 8, 3), ints("axes", 3), act("out", 1, 8, 8)], None, "3 channels", "multiple of 4"),
    ("MEAN", [IN, ints("axes", 0), OUT], None, "reduces the batch axis", ""),
    ("REDUCE_MAX", [IN, ints("axes", -4), OUT], None, "reduces the batch axis", ""),
    ("PAD", [IN, ints("pads", 1, 0, 0, 0, 0, 0, 0, 0), OUT], None, "pads the batch axis", ""),
    ("PACK", [IN, IN, OUT], options("Pack", axis=0), "packs along the batch axis", ""),
    (
        "STRIDED_SLICE",
        [IN, ints("b", 0), ints("e", 8), ints("s", 2), OUT],
        options("StridedSlice"),
        "the strides [2]",
        "",
    ),
    (
        "STRIDED_SLICE",
        [IN, ints("b", 0), ints("e", 8), ints("s", 1), OUT],
        options("StridedSlice", newAxisMask=1),
        "a new-axis mask",
        "",
    ),
    ("PRELU", [IN, weights(8, 8, 16), OUT], None, "the slopes [8, 8, 16]", "shared_axes=[1, 2]"),
]


@pytest.mark.parametrize(
    ("code", "tensors", "extra"), SUPPORTED, ids=lambda value: value if isinstance(value, str) else ""
)
def test_what_the_rules_allow_is_mapped(tmp_path: Path, code: str, tensors: list[Tensor], extra: object) -> None:
    verdict = only(tmp_path, code, tensors, extra)
    assert (verdict.on_edgetpu, verdict.reason) == (True, None)
    assert verdict.uncertain == (code in ("RESIZE_BILINEAR", "RESHAPE"))


@pytest.mark.parametrize(
    ("code", "tensors", "extra", "reason", "remedy"),
    UNSUPPORTED,
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_they_do_not_is_named_with_reason_and_remedy(
    tmp_path: Path, code: str, tensors: list[Tensor], extra: object, reason: str, remedy: str
) -> None:
    verdict = only(tmp_path, code, tensors, extra)
    assert not verdict.on_edgetpu
    assert verdict.reason is not None
    assert reason in f"{verdict.reason}; {verdict.remedy}"
    assert verdict.remedy
    assert remedy in f"{verdict.reason}; {verdict.remedy}"


def test_split_takes_its_axis_from_its_first_input(tmp_path: Path) -> None:
    for axis, mapped in ((3, True), (0, False), (-4, False)):
        tensors = [ints("axis", axis), IN, OUT, act("other", 1, 8, 8, 16)]
        graph = Graph(tensors, [1], [2, 3], [Operator("SPLIT", [0, 1], [2, 3], options("Split", numSplits=2))])
        assert judge(tmp_path, graph)[0].on_edgetpu is mapped


def test_a_zero_constant_may_be_concatenated_where_zero_is_the_zero_point(tmp_path: Path) -> None:
    for value, mapped in ((-3, True), (0, False)):
        zeros = Tensor("zeros", [1, 8, 8, 16], "int8", (0.5, -3), constant=np.full((1, 8, 8, 16), value, np.int8))
        verdict = only(tmp_path, "CONCATENATION", [IN, zeros, OUT], options("Concatenation", axis=3))
        assert verdict.on_edgetpu is mapped


def test_all_that_follows_on_one_path_stays_on_the_cpu_and_another_path_does_not(tmp_path: Path) -> None:
    """in → RELU → LEAKY_RELU → RELU6 → ADD; in → TANH → ADD: the compiler makes one part, up to the unsupported one."""
    tensors = [IN, *(act(name, 1, 8, 8, 16) for name in ("a", "b", "c", "d", "sum"))]
    graph = Graph(
        tensors,
        [0],
        [5],
        [
            Operator("RELU", [0], [1]),
            Operator("LEAKY_RELU", [1], [2]),
            Operator("RELU6", [2], [3]),
            Operator("TANH", [0], [4]),
            Operator("ADD", [3, 4], [5]),
        ],
    )
    verdicts = judge(tmp_path, graph)
    assert [verdict.on_edgetpu for verdict in verdicts] == [True, False, False, True, False]
    assert [verdict.follows for verdict in verdicts] == [False, False, True, False, True]


def test_a_float_input_that_is_quantized_first_does_not_end_the_part(tmp_path: Path) -> None:
    tensors = [act("in", 1, 8, dtype="float32"), act("q", 1, 8), act("r", 1, 8), act("out", 1, 8, dtype="float32")]
    operators = [Operator("QUANTIZE", [0], [1]), Operator("RELU", [1], [2]), Operator("DEQUANTIZE", [2], [3])]
    verdicts = judge(tmp_path, Graph(tensors, [0], [3], operators))
    assert [verdict.on_edgetpu for verdict in verdicts] == [False, True, False]


@pytest.mark.assets
def test_of_a_real_model_the_forecast_is_the_log_but_for_what_the_compiler_does_not_publish(assets: Path) -> None:
    """YOLOv8n: what the forecast leaves to the CPU is left there; what else is, has a limit that is not published."""
    log = read_log(assets / "models" / "yolov8n_full_integer_quant_edgetpu.log")
    with open_model(assets / "models" / "yolov8n_full_integer_quant.tflite") as model:
        verdicts = forecast(model)
    ours = Counter(verdict.operator.name for verdict in verdicts if not verdict.on_edgetpu)
    theirs = Counter(dict.fromkeys(ours, 0))
    unpublished: Counter[str] = Counter()
    for row in log.rows:
        if not row.is_mapped:
            theirs[row.operator] += row.count
        if "unspecified limitation" in row.status:
            unpublished[row.operator] += row.count
    assert ours <= theirs
    assert theirs - ours <= unpublished
    assert len(verdicts) == 254
    assert (theirs - ours).total() == 11


@pytest.mark.assets
@pytest.mark.parametrize(
    ("name", "left"),
    [
        ("mobilenet_v1_0.25_128_quant", {}),
        ("mobilenet_v2_1.0_224_quant", {}),
        ("tf2_mobilenet_v2_1.0_224_ptq", {}),
        ("coco_ssd_mobilenet_v1_1.0_quant", {"TFLite_Detection_PostProcess": 1}),
        ("deeplabv3_mnv2_dm05_pascal_quant", {"ARG_MAX": 1}),
    ],
)
def test_models_made_for_the_edge_tpu_are_mapped_whole(assets: Path, name: str, left: dict[str, int]) -> None:
    with open_model(assets / "models" / f"{name}.tflite") as model:
        verdicts = forecast(model)
    assert Counter(verdict.operator.name for verdict in verdicts if not verdict.on_edgetpu) == left
