"""Which operators the installed ONNX Runtime has: its own lists, asked without loading a model.

It names the first operator that it does not have, and stops there; who has to export a model again wants them all.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from visiond.engine.runtimes.installed import import_runtime, pip, version_of
from visiond.modelkit.onnx_model import STANDARD, OnnxModel, OperatorKind

_CUSTOM: Final = "export the model with standard operators only, or end it before them"


@dataclass(frozen=True, slots=True)
class MissingOperator:
    """An operator that a model has `count` times and the runtime has not; `reason` is a clause, `remedy` a sentence."""

    kind: OperatorKind
    count: int
    reason: str
    remedy: str


@dataclass(frozen=True, slots=True)
class RuntimeOperators:
    """`schemas`: for each operator, (the opset that brought this form of it, whether it is withdrawn), oldest first.

    `kernels`: for each operator, the types that the CPU computes it with, as ONNX Runtime writes them.
    """

    version: str
    schemas: Mapping[OperatorKind, tuple[tuple[int, bool], ...]]
    kernels: Mapping[OperatorKind, tuple[str, ...]]


def runtime_operators() -> RuntimeOperators:
    """Ask the installed ONNX Runtime; raises RuntimeUnavailable where there is none. Takes a tenth of a second."""
    runtime = import_runtime("onnxruntime", "ONNX Runtime", pip("install onnxruntime"))
    state = runtime.capi.onnxruntime_pybind11_state
    schemas: dict[OperatorKind, list[tuple[int, bool]]] = {}
    # Not in every build: without them nothing is known, and the runtime's own message has to do.
    for each in getattr(state, "get_all_operator_schema", list[Any])():
        schemas.setdefault(OperatorKind(each.domain, each.name), []).append((each.since_version, each.deprecated))
    kernels: dict[OperatorKind, set[str]] = {}
    for each in getattr(state, "get_all_opkernel_def", list[Any])():
        if each.provider == "CPUExecutionProvider":
            # The first of its types, which is that of its first input.
            types: Iterable[str] = next(iter(each.type_constraints.values()), ())
            kernels.setdefault(OperatorKind(each.domain, each.op_name), set()).update(types)
    return RuntimeOperators(
        f"ONNX Runtime {version_of('onnxruntime', runtime)}",
        {kind: tuple(sorted(forms)) for kind, forms in schemas.items()},
        {kind: tuple(sorted(types)) for kind, types in kernels.items()},
    )


def missing_operators(model: OnnxModel, has: RuntimeOperators) -> tuple[MissingOperator, ...]:
    """Return what the runtime does not have of a model's operators, the most frequent first."""
    if not has.schemas:
        return ()
    domains = {kind.domain for kind in has.schemas}
    found = []
    for kind, count in model.operators.items():
        why = _why_missing(kind, model.opsets.get(kind.domain), domains, has.schemas.get(kind, ()))
        if why is not None:
            found.append(MissingOperator(kind, count, *why))
    return tuple(found)


def missing_in_words(missing: Iterable[MissingOperator]) -> str:
    """All of them in one sentence, each reason and remedy once: a 2, b (reason), c (reason); remedy; remedy."""
    by_reason: dict[str, list[str]] = {}
    remedies: dict[str, None] = {}
    for each in missing:
        by_reason.setdefault(each.reason, []).append(f"'{each.kind}' {each.count}")
        remedies.setdefault(each.remedy)
    named = [f"{', '.join(names)} ({reason})" for reason, names in by_reason.items()]
    return f"{', '.join(named)}; {'; '.join(remedies)}"


def _why_missing(
    kind: OperatorKind, opset: int | None, domains: set[str], forms: tuple[tuple[int, bool], ...]
) -> tuple[str, str] | None:
    """Return (reason, remedy); None where the runtime has it."""
    if kind.domain.startswith("ai.onnx") and "training" in kind.domain:
        return "for training only", "export the model for inference: model.eval(), without optimizer or loss"
    if kind.domain not in domains:
        return f"custom, of {kind.domain}", _CUSTOM
    if not forms:
        if kind.domain != STANDARD:
            return f"not in this runtime's {kind.domain}", _CUSTOM
        return "unknown to it", "update onnxruntime, or export the model with standard operators only"
    if opset is None:
        return f"the file does not say which opset of '{kind.domain}' it has", "export the model again"
    known = [form for form in forms if form[0] <= opset]
    if not known:
        since = forms[0][0]
        return f"of opset {since}, and the file's is {opset}", f"export the model with opset_version={since}"
    if known[-1][1]:
        since = known[-1][0]
        return f"withdrawn in opset {since}", f"export the model again with a newer exporter, or opset {since - 1}"
    return None
