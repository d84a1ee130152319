"""What `visiond models inspect FILE` finds in a TFLite model: plain values, for a person and for programs."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from visiond.errors import DataError
from visiond.modelkit.compiler_log import CompilerLog, find_log, read_log
from visiond.modelkit.edgetpu_package import CompiledPart, read_part
from visiond.modelkit.edgetpu_remedies import remedy_of
from visiond.modelkit.edgetpu_rules import forecast
from visiond.modelkit.file_bytes import Damaged, Region
from visiond.modelkit.flexbuffer import read_map
from visiond.modelkit.tflite_file import open_model
from visiond.modelkit.tflite_model import EDGETPU_OPERATOR, OperatorFacts, TensorFacts, TfliteModel

_LEFT: Final = "left on the CPU by the compiler"
_SEE_LOG: Final = "look into its log (--log FILE), or into the model from before it was compiled: they tell why"


@dataclass(frozen=True, slots=True)
class OperatorGroup:
    """Operators that stay on the CPU for one reason: how many of each name, why, and what to do."""

    operators: Mapping[str, int]
    reason: str
    remedy: str | None

    @property
    def count(self) -> int:
        """How many there are."""
        return sum(self.operators.values())


@dataclass(frozen=True, slots=True)
class LogBeside:
    """The compiler's log of a model, where there is one; `problem` says why one that is there is not used."""

    path: Path | None = None
    log: CompilerLog | None = None
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class EdgeTpu:
    """How a model and the Edge TPU go together.

    `parts` are what a compiled file holds for the chip. `mapped` operators would run there by the published rules, None
    for a compiled file, which no longer says what they were; `uncertain` of them depend on their size. `on_cpu` is what
    stays on the CPU, or was left there.
    """

    parts: tuple[CompiledPart, ...]
    mapped: int | None
    uncertain: int
    on_cpu: tuple[OperatorGroup, ...]
    log: LogBeside

    @property
    def is_compiled(self) -> bool:
        """Whether edgetpu_compiler made the file."""
        return bool(self.parts)


@dataclass(frozen=True, slots=True)
class Inspection:
    """One file; `custom_options` are those of TFLite_Detection_PostProcess and its like, by the operator's name."""

    path: Path
    size: int
    description: str
    subgraphs: int
    parameter_bytes: int
    inputs: tuple[TensorFacts, ...]
    outputs: tuple[TensorFacts, ...]
    operators: Mapping[str, int]
    custom_options: Mapping[str, Mapping[str, float]]
    edgetpu: EdgeTpu


def inspect_file(path: Path, log_path: Path | None = None) -> Inspection:
    """Look into a .tflite file, and into the compiler's log: the one given, else the one beside it.

    Raises NoInputError or DataError.
    """
    with open_model(path) as model:
        log = _log(path, log_path, model)
        return Inspection(
            path=path,
            size=model.size,
            description=model.description,
            subgraphs=model.subgraphs,
            parameter_bytes=model.parameter_bytes,
            inputs=model.input_tensors,
            outputs=model.output_tensors,
            operators=dict(Counter(operator.name for operator in model.operators).most_common()),
            custom_options=dict(_custom_options(model.operators)),
            edgetpu=_compiled(model, log) if model.is_compiled else _not_compiled(model, log),
        )


def as_json(found: Inspection) -> dict[str, Any]:
    """The inspection as JSON fields; docs/models.md shows them."""
    edgetpu, log = found.edgetpu, found.edgetpu.log.log
    return {
        "file": str(found.path),
        "bytes": found.size,
        "description": found.description,
        "subgraphs": found.subgraphs,
        "parameter_bytes": found.parameter_bytes,
        "inputs": [_tensor_json(tensor) for tensor in found.inputs],
        "outputs": [_tensor_json(tensor) for tensor in found.outputs],
        "operators": dict(found.operators),
        "custom_options": {name: dict(options) for name, options in found.custom_options.items()},
        "edgetpu": {
            "compiled": edgetpu.is_compiled,
            "parts": [asdict(part) for part in edgetpu.parts],
            "mapped": edgetpu.mapped,
            "uncertain": edgetpu.uncertain,
            "on_cpu": [_group_json(group.operators, group.reason, group.remedy) for group in edgetpu.on_cpu],
            "log_problem": edgetpu.log.problem,
            "log": None
            if log is None
            else {
                "file": str(edgetpu.log.path),
                "compiler": log.compiler,
                "mapped": log.mapped,
                "unmapped": log.unmapped,
                "cached_bytes": log.cached_bytes,
                "streamed_bytes": log.streamed_bytes,
                "rows": [{**asdict(row), "mapped": row.is_mapped, "remedy": row.remedy} for row in log.rows],
            },
        },
    }


def _log(path: Path, given: Path | None, model: TfliteModel) -> LogBeside:
    """Read the log that was given, else the one beside the model, which counts only where it is one of this model."""
    log_path = given or find_log(path)
    if log_path is None:
        return LogBeside()
    try:
        log = read_log(log_path)
    except DataError as error:
        if given is not None:
            raise
        return LogBeside(log_path, None, str(error))
    here = Counter("CUSTOM" if operator.is_custom else operator.name for operator in model.operators)
    if model.is_compiled:
        here["CUSTOM"] -= sum(operator.name == EDGETPU_OPERATOR for operator in model.operators)
    there: Counter[str] = Counter()
    for row in log.rows:
        there[row.operator] += 0 if model.is_compiled and row.is_mapped else row.count
    if +here != +there:
        problem = f"{log_path} is the log of another model: {there.total()} operators, and {here.total()} in this file"
        return LogBeside(log_path, None, f"{problem}; give its own with --log")
    return LogBeside(log_path, log)


def _tensor_json(tensor: TensorFacts) -> dict[str, Any]:
    return {
        "name": tensor.name,
        "dtype": tensor.dtype,
        "shape": list(tensor.shape),
        "open_shape": list(tensor.open_shape) if tensor.is_dynamic else None,
        "scale": tensor.scale,
        "zero_point": tensor.zero_point,
        "real_range": None if tensor.real_range is None else list(tensor.real_range),
    }


def _group_json(operators: Mapping[str, int], reason: str, remedy: str | None) -> dict[str, Any]:
    return {"operators": dict(operators), "reason": reason, "remedy": remedy}


def _compiled(model: TfliteModel, log: LogBeside) -> EdgeTpu:
    parts, left = [], []
    for operator in model.operators:
        if operator.is_custom and operator.name == EDGETPU_OPERATOR:
            parts.append(read_part(operator.custom_options))
        else:
            left.append(operator)
    if log.log is None:
        on_cpu = _grouped([(operator.name, _LEFT, remedy_of(operator.name, "", _SEE_LOG)) for operator in left])
    else:
        rows = [row for row in log.log.rows if not row.is_mapped]
        on_cpu = _grouped(
            [(row.operator, f"compiler: {row.status}", row.remedy) for row in rows for _ in range(row.count)]
        )
    return EdgeTpu(tuple(parts), None, 0, on_cpu, log)


def _not_compiled(model: TfliteModel, log: LogBeside) -> EdgeTpu:
    verdicts = forecast(model)
    on_cpu = [
        (verdict.operator.name, verdict.reason or "", verdict.remedy) for verdict in verdicts if not verdict.on_edgetpu
    ]
    mapped = len(verdicts) - len(on_cpu)
    return EdgeTpu((), mapped, sum(verdict.uncertain for verdict in verdicts), _grouped(on_cpu), log)


def _grouped(operators: Sequence[tuple[str, str, str | None]]) -> tuple[OperatorGroup, ...]:
    """Put together what has one reason and one remedy, in the order in which they come."""
    groups: dict[tuple[str, str | None], Counter[str]] = {}
    for name, reason, remedy in operators:
        groups.setdefault((reason, remedy), Counter())[name] += 1
    return tuple(OperatorGroup(dict(names), *key) for key, names in groups.items())


def _custom_options(operators: Iterable[OperatorFacts]) -> Iterable[tuple[str, dict[str, float]]]:
    """Yield the numbers among the options of each custom operator that keeps them as a map."""
    for operator in operators:
        if operator.custom_options is None or operator.name == EDGETPU_OPERATOR:
            continue
        try:
            options = read_map(operator.custom_options)
        except Damaged:  # another form: only its own kernel knows it
            continue
        numbers = {name: value for name, value in options.items() if not isinstance(value, Region)}
        yield operator.name, {name: value for name, value in numbers.items() if math.isfinite(value)}
