"""What the child that runs one variant is asked for, and what it hands back: plain values, through JSON and files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Self

import numpy as np

from visiond.detection import Result
from visiond.engine.tensors import Quantization, TensorInfo
from visiond.messages import StickOrder
from visiond.modelkit.evaluation.average_precision import Interval
from visiond.modelkit.evaluation.measure import Evaluation, Found
from visiond.modelkit.runner import Variant

RUNS: Final = "runs.json"
EVALUATION: Final = "evaluation.json"
SWEEP: Final = "sweep.json"


@dataclass(frozen=True, slots=True)
class VariantOrder:
    """Run `variant` of the package in `folder`, and put what comes out of it into the folder `out`.

    `pictures` are run one by one and their outputs kept. `dataset` is evaluated, `most` pictures of it; with `recipes`
    (fields of an InputRecipe, each) as if the package had each of them, on `sweep_most` pictures.
    """

    folder: str
    variant: Variant
    out: str
    pictures: tuple[str, ...] = ()
    dataset: str | None = None
    most: int | None = None
    recipes: tuple[dict[str, Any], ...] = ()
    sweep_most: int | None = None

    def to_json(self) -> dict[str, Any]:
        """Plain values for the child's command line."""
        return {**asdict(self), "variant": {**asdict(self.variant), "path": str(self.variant.path)}}

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> Self:
        """Build from what `to_json` gave."""
        fields = dict(raw["variant"])
        stick = None if fields["stick"] is None else StickOrder(**fields["stick"])
        variant = Variant(**{**fields, "path": Path(fields["path"]), "stick": stick})
        return cls(**{**raw, "variant": variant, "pictures": tuple(raw["pictures"]), "recipes": tuple(raw["recipes"])})


@dataclass(frozen=True, slots=True)
class Opened:
    """What an interpreter is: see `visiond.engine.interpreter.Interpreter`. `golden` failures are sentences."""

    engine: str
    runtime: str
    library: str | None
    remark: str | None
    input: TensorInfo
    outputs: tuple[TensorInfo, ...]
    golden_passed: int
    golden_failures: tuple[str, ...]

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> Self:
        """Build from a child's message."""
        fields = {key: value for key, value in raw.items() if key not in ("input", "outputs", "golden_failures")}
        return cls(
            **fields,
            input=tensor_from_json(raw["input"]),
            outputs=tuple(tensor_from_json(each) for each in raw["outputs"]),
            golden_failures=tuple(raw["golden_failures"]),
        )


@dataclass(frozen=True, slots=True)
class PictureRun:
    """One picture on one variant; its outputs are in the child's folder. `result` holds what was found."""

    result: Result
    invoke_ms: float
    problem: str | None


def tensor_to_json(info: TensorInfo) -> dict[str, Any]:
    """Plain values of a tensor's description."""
    return {**asdict(info), "dtype": info.dtype.name}


def tensor_from_json(raw: Mapping[str, Any]) -> TensorInfo:
    """Build from what `tensor_to_json` gave."""
    quantization = None if raw["quantization"] is None else Quantization(**raw["quantization"])
    return TensorInfo(raw["index"], raw["name"], tuple(raw["shape"]), np.dtype(raw["dtype"]), quantization)


def evaluation_from_json(raw: Mapping[str, Any]) -> Evaluation:
    """Build from what `dataclasses.asdict` gave, after a trip through JSON."""
    answers = tuple(
        tuple(Found(each["class_id"], each["score"], each["box"] and tuple(each["box"])) for each in answer)
        for answer in raw["answers"]
    )
    more = {name: Interval(**each) for name, each in raw["more"].items()}
    return Evaluation(**{**raw, "answers": answers, "more": more})
