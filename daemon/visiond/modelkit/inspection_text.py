"""`visiond models inspect FILE`: what was found, as text for a person or as one JSON object."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Final, TextIO

from visiond.errors import UsageError
from visiond.modelkit.edgetpu_package import CHIP_BYTES, CompiledPart
from visiond.modelkit.inspection import EdgeTpu, Inspection, LogBeside, OperatorGroup, as_json, inspect_file
from visiond.modelkit.onnx_file import looks_like_onnx
from visiond.modelkit.tflite_model import TensorFacts, printable

_UNITS: Final = ((1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB"))


def inspect(path: Path, log_path: Path | None, to_json: bool, out: TextIO) -> int:
    """Print what is in the file; return 0. Raises UsageError, NoInputError or DataError."""
    if looks_like_onnx(path):
        return _inspect_onnx(path, log_path, to_json, out)
    found = inspect_file(path, log_path)
    if to_json:
        print(json.dumps(as_json(found), allow_nan=False), file=out)
    else:
        out.writelines(f"{line}\n" for line in text_lines(found))
    return 0


def _inspect_onnx(path: Path, log_path: Path | None, to_json: bool, out: TextIO) -> int:
    from visiond.modelkit import onnx_inspection, onnx_inspection_text

    if log_path is not None:
        raise UsageError(f"--log {log_path}: {path.name} is ONNX, which edgetpu_compiler does not take; leave it out")
    found = onnx_inspection.inspect_onnx(path)
    if to_json:
        print(json.dumps(onnx_inspection.as_json(found), allow_nan=False), file=out)
    else:
        out.writelines(f"{line}\n" for line in onnx_inspection_text.text_lines(found))
    return 0


def size_text(count: int) -> str:
    """Return a number of bytes in the unit that suits it."""
    for unit, name in _UNITS:
        if count >= unit:
            return f"{count / unit:.1f} {name}" if count < 100 * unit else f"{count / unit:.0f} {name}"
    return f"{count} B"


def text_lines(found: Inspection) -> Iterator[str]:
    """Yield the lines for a person."""
    made_by = f", by '{found.description}'" if found.description else ""
    more = f", {found.subgraphs} graphs, of which the first is shown" if found.subgraphs > 1 else ""
    yield f"{printable(found.path.name)}: a TFLite model of {size_text(found.size)}{made_by}{more}"
    for title, tensors in (("inputs", found.inputs), ("outputs", found.outputs)):
        yield ""
        yield title
        yield from (f"  {number}  {_tensor(tensor)}" for number, tensor in enumerate(tensors))
    yield ""
    constants = f"; constants of {size_text(found.parameter_bytes)}" if found.parameter_bytes else ""
    yield f"operators: {sum(found.operators.values())}{constants}"
    width = max((len(name) for name in found.operators), default=0)
    yield from (f"  {name:<{width}}  {count:>4}" for name, count in found.operators.items())
    for name, options in found.custom_options.items():
        if options:
            yield f"  {name}: {', '.join(f'{printable(key)} {value:g}' for key, value in options.items())}"
    yield ""
    yield from _compiled(found.edgetpu) if found.edgetpu.is_compiled else _forecast(found)
    if found.edgetpu.log.path is not None:
        yield ""
        yield from _log(found.edgetpu.log, found.edgetpu.is_compiled)


def _tensor(tensor: TensorFacts) -> str:
    shape = list(tensor.open_shape) if tensor.is_dynamic and tensor.open_shape else list(tensor.shape)
    text = f"{tensor.name or 'without a name'}: {tensor.dtype} {shape}"
    if tensor.is_dynamic:
        text += ", open where -1"
    if tensor.scale is not None and tensor.zero_point is not None:
        text += f", scale {tensor.scale:.6g}, zero point {tensor.zero_point}"
    elif tensor.scales > 1:
        text += f", {tensor.scales} scales along axis {tensor.axis}"
    elif tensor.levels is not None:
        text += ", without scale: raw values"
    if tensor.real_range is not None:
        text += f": {tensor.real_range[0]:.4g} to {tensor.real_range[1]:.4g}"
    return text


def _forecast(found: Inspection) -> Iterator[str]:
    edgetpu, total = found.edgetpu, sum(found.operators.values())
    rules = "by the compiler's published rules"
    yield f"Edge TPU: not compiled; {rules} {edgetpu.mapped} of {total} operators would run there"
    if edgetpu.uncertain and edgetpu.mapped:
        size = "only where their tensors are small enough"
        yield f"  {edgetpu.uncertain} of them (RESHAPE, RESIZE) {size}; the compiler has more limits than it publishes"
    yield from _groups(edgetpu.on_cpu, "would stay on the CPU")


def _compiled(edgetpu: EdgeTpu) -> Iterator[str]:
    count = len(edgetpu.parts)
    yield f"Edge TPU: compiled, in {count} part{'s' if count > 1 else ''}"
    yield from (f"  {_part(part)}" for part in edgetpu.parts)
    if edgetpu.on_cpu:
        yield from _groups(edgetpu.on_cpu, "are left on the CPU")
    else:
        yield "  nothing is left on the CPU"


def _part(part: CompiledPart) -> str:
    streamed = (
        f"{size_text(part.streamed_bytes)} cross USB for each picture" if part.streamed_bytes else "none is streamed"
    )
    return (
        f"needs runtime version {part.min_runtime_version}; parameters: {size_text(part.cached_bytes)} stay in the "
        f"chip's {size_text(CHIP_BYTES)}, {streamed}"
    )


def _groups(groups: tuple[OperatorGroup, ...], title: str) -> Iterator[str]:
    if groups:
        yield f"  {sum(group.count for group in groups)} {title}:"
    for group in groups:
        names = ", ".join(f"{name} {count}" for name, count in group.operators.items())
        yield f"    {names}: {group.reason}"
        if group.remedy is not None:
            yield f"      do: {group.remedy}"


def _log(beside: LogBeside, is_compiled: bool) -> Iterator[str]:
    """What the compiler's log says; why operators of a compiled file are left on the CPU has been told with them."""
    if beside.problem is not None:
        yield f"the compiler's log is not used: {beside.problem}"
    if beside.log is None or beside.path is None:
        return
    log = beside.log
    total = log.mapped + log.unmapped
    name = f"the compiler's log, {printable(beside.path.name)}"
    yield f"{name}: version {log.compiler}, {log.mapped} of {total} operators mapped"
    if log.cached_bytes is not None and log.streamed_bytes is not None:
        yield f"  parameters: {size_text(log.cached_bytes)} on the chip, {size_text(log.streamed_bytes)} streamed"
    statuses: dict[str, list[str]] = {}
    for row in log.rows:
        if not row.is_mapped and not is_compiled:
            statuses.setdefault(row.status, []).append(f"{row.operator} {row.count}")
    remedies = {row.status: row.remedy for row in log.rows}
    for status, names in statuses.items():
        yield f"    {', '.join(names)}: {status}"
        if remedies[status] is not None:
            yield f"      do: {remedies[status]}"
