"""Lints: what works and is probably not meant, found in a package's files before a robot finds it. Remarks, no errors.

Read from the files alone, in milliseconds and without a runtime: `visiond check`, `visiond doctor` and the daemon at
its start ask for them. What only shows when the model runs is told by its golden examples.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from visiond.errors import VisiondError
from visiond.modelkit.calibration import calibration_remark
from visiond.modelkit.class_count import class_count, class_count_of_outputs, fused_output
from visiond.modelkit.edgetpu_package import CHIP_BYTES, CompiledPart, read_part
from visiond.modelkit.onnx_file import open_onnx
from visiond.modelkit.onnx_remarks import external_remarks, twin_remarks
from visiond.modelkit.remark import Remark
from visiond.modelkit.size_remarks import size_remarks
from visiond.modelkit.tflite_file import open_model
from visiond.modelkit.tflite_model import EDGETPU_OPERATOR, TensorFacts

if TYPE_CHECKING:
    from visiond.modelkit.package import Package

_LEAST_LEVELS: Final = 16  # between a score of 0 and of 1; the decoder refuses fewer
_COARSE_PIXELS: Final = 1.0  # steps of a box's edge that are worth a remark
_STREAMED_BYTES: Final = 256 << 10  # less is what the compiler streams of most models
_USB3_BYTES_PER_S: Final = 500e6  # 5 Gbit/s with 8b/10b: what no transfer is faster than
_USB2_BYTES_PER_S: Final = 60e6
_SAME_SCALE: Final = 1e-6


@dataclass(frozen=True, slots=True)
class FileFacts:
    """What the lints need of one file."""

    inputs: tuple[TensorFacts, ...]
    outputs: tuple[TensorFacts, ...]
    classes: int | None
    fused: TensorFacts | None
    parts: tuple[CompiledPart, ...]
    external_files: tuple[str, ...] = ()


def lint(package: Package) -> list[Remark]:
    """Return what is to be said of a package; nothing is raised: a file that cannot be read is one of them."""
    facts: dict[str, FileFacts] = {}
    remarks: list[Remark] = []
    files = package.files
    for key, entry in (("cpu", files.cpu), ("edgetpu", files.edgetpu), ("onnx", files.onnx)):
        if entry is not None:
            try:
                facts[key] = _read_onnx(package, key) if key == "onnx" else _read(package, key)
            except VisiondError as error:
                remarks.append(Remark(("files", key, "path"), str(error)))
    for key, found in facts.items():
        remarks += size_remarks(key, package.input.size, found.inputs)
    for found in list(facts.values())[:1]:  # what is wrong with all twins is said once
        remarks += _input_remarks(package, found)
        remarks += _role_remarks(package, found)
        remarks += _output_remarks(found)
        remarks += _label_remarks(package, found)
    if "cpu" in facts and "edgetpu" in facts:
        remarks += _twin_remarks(facts["cpu"], facts["edgetpu"])
    if "onnx" in facts:
        remarks += external_remarks(facts["onnx"].external_files)
        twin = facts.get("cpu", facts.get("edgetpu"))
        if twin is not None:
            ours = facts["onnx"]
            remarks += twin_remarks((ours.inputs, ours.outputs), (twin.inputs, twin.outputs))
    remarks += _edgetpu_remarks(package, facts.get("edgetpu"))
    return remarks


def _read(package: Package, key: str) -> FileFacts:
    with open_model(package.file(key)) as model:
        return FileFacts(
            inputs=model.input_tensors,
            outputs=model.output_tensors,
            classes=class_count(package.output, model),
            fused=fused_output(package.output, model.output_tensors),
            parts=tuple(
                read_part(operator.custom_options)
                for operator in model.operators
                if operator.is_custom and operator.name == EDGETPU_OPERATOR
            ),
        )


def _read_onnx(package: Package, key: str) -> FileFacts:
    with open_onnx(package.file(key)) as model:
        outputs = tuple(value.facts for value in model.outputs)
        return FileFacts(
            inputs=tuple(value.picture for value in model.inputs),
            outputs=outputs,
            classes=class_count_of_outputs(package.output, outputs),
            fused=fused_output(package.output, outputs),
            parts=(),
            external_files=model.external_files,
        )


def _input_remarks(package: Package, facts: FileFacts) -> Iterator[Remark]:
    recipe = package.input
    if len(facts.inputs) == 1 and len(recipe.mean) == len(recipe.std):
        text = calibration_remark(recipe.mean, recipe.std, facts.inputs[0])
        if text is not None:
            yield Remark(("input", "std"), text)


def _role_remarks(package: Package, facts: FileFacts) -> Iterator[Remark]:
    """Roles for outputs that there are not; that they fit the outputs that there are, only the decoder can tell."""
    beyond = [(role, place) for role, place in (package.output.roles or {}).items() if place >= len(facts.outputs)]
    for role, place in beyond:
        yield Remark(
            ("output", "roles"),
            f"says that {role} is output {place}, and the file has {len(facts.outputs)}, counted from 0: it will not "
            "be loaded; correct it, or leave the roles out",
        )


def _output_remarks(facts: FileFacts) -> Iterator[Remark]:
    """One scale for boxes and scores leaves the scores nothing of pixels, and makes boxes coarse of fractions."""
    tensor = facts.fused
    if tensor is None or tensor.scale is None or tensor.levels is None:
        return
    levels = 1 / tensor.scale
    if levels < _LEAST_LEVELS:
        reach = max(map(abs, tensor.real_range or (0.0,)))
        yield Remark(
            ("output", "decoder"),
            f"output '{tensor.name}' has one scale, {tensor.scale:.3g}, for boxes and for scores, and reaches "
            f"{reach:.0f}: boxes in pixels (or class numbers, end to end) leave {levels:.2g} levels between the "
            "scores 0 and 1, and the decoder refuses them; export the model with boxes as fractions of the picture "
            "(Ultralytics' own TFLite export does), with split heads, or with a float output",
        )
        return
    side = max(facts.inputs[0].shape[1:3], default=0) if facts.inputs else 0
    if tensor.scale * side >= _COARSE_PIXELS:
        yield Remark(
            ("output", "decoder"),
            f"boxes and scores share one scale, {tensor.scale:.3g}: edges of boxes move in steps of "
            f"{tensor.scale * side:.1f} of the input's {side} pixels, and scores in steps of {tensor.scale:.3f}; "
            "export the model with split heads, each of which has a scale of its own, where that is too coarse",
        )


def _label_remarks(package: Package, facts: FileFacts) -> Iterator[Remark]:
    names, classes = package.load_labels().names, facts.classes
    if not names or classes is None or len(names) == classes:
        return
    beyond, offset = len(names) - classes, package.labels.offset if package.labels else 0
    text = f"names {len(names)} classes with offset {offset}, and the model has {classes}"
    if abs(beyond) == 1:
        offset += beyond
        lines = "few" if beyond < 0 else "many"
        other = f"the label file of this model if this one is another's, or has a line too {lines}"
        text = f"{text}: each may have its neighbour's name; give offset: {offset} if so, or {other}"
        yield Remark(("labels", "offset"), text)
    elif beyond < 0:
        text = f"{text}: the last {-beyond} have no name"
        yield Remark(("labels", "path"), f"{text}; give the label file of this model")
    else:
        yield Remark(("labels", "path"), f"{text}: {beyond} names are never used; give the label file of this model")


def _twin_remarks(cpu: FileFacts, edgetpu: FileFacts) -> Iterator[Remark]:
    for side, ours, theirs in (
        ("input", edgetpu.inputs, cpu.inputs),
        ("output", edgetpu.outputs, cpu.outputs),
    ):
        texts = list(_differences(side, ours, theirs))
        if texts:
            compile_it = "edgetpu_compiler files.cpu, and take its output as files.edgetpu"
            yield Remark(
                ("files", "edgetpu", "path"), f"is not the twin of files.cpu: {', '.join(texts)}; {compile_it}"
            )


def _differences(side: str, ours: tuple[TensorFacts, ...], theirs: tuple[TensorFacts, ...]) -> Iterator[str]:
    """Yield what is not alike, of each tensor the first thing."""
    if len(ours) != len(theirs):
        yield f"{len(ours)} {side}s, files.cpu {len(theirs)}"
        return
    for position, (one, other) in enumerate(zip(ours, theirs, strict=True)):
        if one.dtype != other.dtype:
            yield f"{side} {position} is {one.dtype}, of files.cpu {other.dtype}"
        elif one.shape and other.shape and one.shape != other.shape:  # many files carry empty shapes until they run
            yield f"{side} {position} is {list(one.shape)}, of files.cpu {list(other.shape)}"
        elif not _same_scale(one, other):
            yield f"{side} {position} has {_parameters(one)}, of files.cpu {_parameters(other)}"


def _same_scale(one: TensorFacts, other: TensorFacts) -> bool:
    if one.scale is None or other.scale is None:
        return one.scale is other.scale
    return one.zero_point == other.zero_point and abs(one.scale - other.scale) <= _SAME_SCALE * other.scale


def _parameters(tensor: TensorFacts) -> str:
    return "no scale" if tensor.scale is None else f"scale {tensor.scale:.6g} and zero point {tensor.zero_point}"


def _edgetpu_remarks(package: Package, facts: FileFacts | None) -> Iterator[Remark]:
    files = package.files
    if files.edgetpu is not None and files.cpu is None and files.onnx is None:
        yield Remark(
            ("files", "edgetpu"),
            "has no twin for the CPU: without the Edge TPU there are no results, and nothing shows whether it computes "
            "correctly; add the model that it was compiled from as files.cpu",
        )
    if facts is None:
        return
    streamed = sum(part.streamed_bytes for part in facts.parts)
    whole = streamed + sum(part.cached_bytes for part in facts.parts)
    if streamed >= _STREAMED_BYTES or whole > CHIP_BYTES:
        yield Remark(
            ("files", "edgetpu", "path"),
            f"has {whole / 1e6:.1f} MB of parameters, and the chip holds {CHIP_BYTES / 1e6:.1f} MB with all else: "
            f"{streamed / 1e6:.1f} MB cross USB for each picture, at least {1e3 * streamed / _USB3_BYTES_PER_S:.0f} ms "
            f"with USB 3 and {1e3 * streamed / _USB2_BYTES_PER_S:.0f} ms with USB 2; use a smaller model, or a "
            "narrower one (a lower depth multiplier)",
        )
