"""`visiond models inspect FILE.onnx`: what was found, as text for a person."""

from __future__ import annotations

from collections.abc import Iterator

from visiond.modelkit.inspection_text import size_text
from visiond.modelkit.onnx_inspection import OnnxInspection, RuntimeVerdict
from visiond.modelkit.onnx_model import STANDARD, OnnxValue
from visiond.modelkit.tflite_model import printable


def text_lines(found: OnnxInspection) -> Iterator[str]:
    """Yield the lines for a person."""
    model = found.model
    made_by = f", by '{model.producer}'" if model.producer else ""
    opsets = ", ".join(f"{domain} {version}" if domain else str(version) for domain, version in model.opsets.items())
    name = printable(found.path.name)
    yield f"{name}: an ONNX model of {size_text(model.size)}{made_by}, opset {opsets or 'unknown'}"
    for title, values in (("inputs", model.inputs), ("outputs", model.outputs)):
        yield ""
        yield title
        yield from (f"  {number}  {_value(value, title)}" for number, value in enumerate(values))
        if title == "inputs" and any(value.is_open for value in values):
            yield "  say in model.yaml at which size it is served, such as input: {size: [224, 224]} (width, height)"
    yield ""
    constants = f"; constants of {size_text(model.constant_bytes)}" if model.constant_bytes else ""
    yield f"operators: {sum(model.operators.values())}{constants}"
    width = max((len(str(kind)) for kind in model.operators), default=0)
    yield from (f"  {kind!s:<{width}}  {count:>4}" for kind, count in model.operators.items())
    for name in model.external_files:
        there = "" if (found.path.parent / name).exists() else ", which is not there"
        yield f"  weights in a file of their own, {name}{there}: it has to lie beside the model"
    yield ""
    yield from _runtime(found.runtime)
    yield ""
    yield from _edgetpu(found)


def _value(value: OnnxValue, title: str) -> str:
    axes = ", ".join("?" if axis is None else str(axis) for axis in value.axes)
    text = f"{value.name or 'without a name'}: {value.dtype} [{axes}]"
    if title == "inputs" and value.is_channels_first:
        text += ", channels first"
    if value.scale is not None:
        text += f", scale {value.scale:.6g}, zero point {value.zero_point}"
    return text


def _runtime(verdict: RuntimeVerdict) -> Iterator[str]:
    name = verdict.version or "ONNX Runtime"
    if verdict.missing:
        yield f"{name} does not have {sum(each.count for each in verdict.missing)} of them:"
    for each in verdict.missing:
        yield f"    {each.kind} {each.count}: {each.reason}"
        yield f"      do: {each.remedy}"
    if verdict.problem is not None:
        yield f"{name}: {verdict.problem}"
    elif not verdict.missing:
        yield f"{name} has all of them"


def _edgetpu(found: OnnxInspection) -> Iterator[str]:
    yield "Edge TPU: takes TFLite of int8 only; visiond models convert makes it of this file"
    custom = [kind for kind in found.model.operators if kind.domain != STANDARD]
    count = sum(each.count for each in found.on_cpu)
    if count:
        yield f"  {count} would stay on the CPU then, by the compiler's published rules, and what follows them:"
    for each in found.on_cpu:
        yield f"    {each.kind} {each.count}: {each.reason}"
        yield f"      do: {each.remedy}"
    if custom:
        yield f"  what is no operator of ONNX itself cannot be converted: {', '.join(map(str, custom))}"
