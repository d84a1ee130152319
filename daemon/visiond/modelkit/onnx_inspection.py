"""What `visiond models inspect FILE` finds in an ONNX model: plain values, for a person and for programs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from visiond.doctor.child import Message, converse
from visiond.engine.runtimes.onnx_operators import MissingOperator
from visiond.modelkit.onnx_edgetpu import StaysOnCpu, stays_on_cpu
from visiond.modelkit.onnx_file import open_onnx
from visiond.modelkit.onnx_model import OnnxModel, OnnxValue, OperatorKind

_MODULE: Final = "visiond.modelkit.onnx_runtime_process"
_DEADLINE_S: Final = 60.0  # for each step: a large model on a busy board


@dataclass(frozen=True, slots=True)
class RuntimeVerdict:
    """What the installed ONNX Runtime makes of a model.

    `version` is None where there is none. `missing` operators are those that it has not. `problem` is a sentence: why
    it cannot be asked, or why it does not load the model; None where it does, or where the model's size is open.
    """

    version: str | None
    missing: tuple[MissingOperator, ...]
    problem: str | None


@dataclass(frozen=True, slots=True)
class OnnxInspection:
    """One file, and what would become of it here."""

    path: Path
    model: OnnxModel
    runtime: RuntimeVerdict
    on_cpu: tuple[StaysOnCpu, ...]


def inspect_onnx(path: Path) -> OnnxInspection:
    """Look into an .onnx file and ask the runtime, where there is one. Raises NoInputError or DataError."""
    with open_onnx(path) as model:
        pass
    return OnnxInspection(path, model, ask_runtime(path), tuple(stays_on_cpu(model.operators)))


def ask_runtime(path: Path, deadline_s: float = _DEADLINE_S) -> RuntimeVerdict:
    """Let a child ask ONNX Runtime, which may die of it."""
    heard: dict[str, Message] = {"stage": {"stage": "starting"}}

    def hear(message: Message) -> None:
        heard[next(iter(message))] = message

    ended = converse(_MODULE, {"path": str(path)}, deadline_s, hear)
    if "fact" in heard:
        return RuntimeVerdict(None, (), f"{heard['fact']['fact']}; {heard['fact']['remedy']}")
    told = heard.get("version", {"version": None, "missing": []})
    missing = tuple(MissingOperator(**{**each, "kind": OperatorKind(**each["kind"])}) for each in told["missing"])
    if ended.status != 0:
        words = f": {ended.words}" if ended.words else ""
        return RuntimeVerdict(
            told["version"], missing, f"while {heard['stage']['stage']} its process {ended.how}{words}"
        )
    return RuntimeVerdict(told["version"], missing, heard.get("loads", {"loads": None})["loads"])


def as_json(found: OnnxInspection) -> dict[str, Any]:
    """The inspection as JSON fields; docs/models.md shows them."""
    model, runtime = found.model, found.runtime
    return {
        "file": str(found.path),
        "format": "onnx",
        "bytes": model.size,
        "description": model.producer,
        "ir_version": model.ir_version,
        "opsets": {domain or "ai.onnx": version for domain, version in model.opsets.items()},
        "parameter_bytes": model.constant_bytes,
        "external_files": list(model.external_files),
        "inputs": [_value_json(value) for value in model.inputs],
        "outputs": [_value_json(value) for value in model.outputs],
        "operators": _counts(model.operators),
        "runtime": {
            "version": runtime.version,
            "problem": runtime.problem,
            "missing": [_missing_json(each.kind, each.count, each.reason, each.remedy) for each in runtime.missing],
        },
        "edgetpu": {
            "compiled": False,
            "on_cpu": [_missing_json(each.kind, each.count, each.reason, each.remedy) for each in found.on_cpu],
        },
    }


def _value_json(value: OnnxValue) -> dict[str, Any]:
    return {
        "name": value.name,
        "dtype": value.dtype,
        "shape": list(value.axes),
        "scale": value.scale,
        "zero_point": value.zero_point,
    }


def _counts(operators: Mapping[OperatorKind, int]) -> dict[str, int]:
    return {str(kind): count for kind, count in operators.items()}


def _missing_json(kind: OperatorKind, count: int, reason: str, remedy: str) -> dict[str, Any]:
    return {"operators": {str(kind): count}, "reason": reason, "remedy": remedy}
