"""What verify has found, as plain values: what the terminal, the JSON and the HTML show."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from visiond.modelkit.evaluation.average_precision import Interval
from visiond.modelkit.verify.findings import FindingsParity
from visiond.modelkit.verify.numeric import OutputParity
from visiond.modelkit.verify.preprocessing import ConventionParity

UNAVAILABLE = 69  # the exit code of what is not installed or not plugged in here: no fault of the package


@dataclass(frozen=True, slots=True)
class Meaning:
    """What one variant or recipe is worth: `metric` with its 95 % interval, `more` metrics by name, all 0 to 1.

    `agreement` is with the reference's answers, the first variant's where it was not evaluated; `undecoded` counts
    pictures whose output made no sense.
    """

    metric: str
    value: Interval
    more: dict[str, Interval]
    pictures: int
    undecoded: int
    agreement: float | None
    invoke_p50_ms: float


@dataclass(frozen=True, slots=True)
class VariantReport:
    """One variant against the reference. `failure` says why it gave nothing, or not all.

    `outputs` are over all pictures, `judged` (what tolerances look at) over the real ones, over the drawn where there
    are no others. `is_reference`: the same file on the same runtime, so that the comparison tells nothing.
    """

    name: str
    file: str
    runtime: str | None
    engine: str | None
    library: str | None
    remark: str | None
    failure: str | None
    exit_code: int
    golden_passed: int
    golden_failures: tuple[str, ...]
    invoke_p50_ms: float | None
    outputs: tuple[OutputParity, ...]
    incomparable: tuple[str, ...]
    findings: FindingsParity | None
    meaning: Meaning | None
    judged: tuple[OutputParity, ...]
    is_reference: bool = False

    @property
    def is_unavailable(self) -> bool:
        """Whether it is not here, and so nothing is wrong with it."""
        return self.failure is not None and self.exit_code == UNAVAILABLE


@dataclass(frozen=True, slots=True)
class SweepRow:
    """One recipe: `points` is its metric less the package's own, in hundredths."""

    name: str
    resize: str
    interpolation: str
    is_own: bool
    is_mixed_up: bool
    meaning: Meaning
    points: float


@dataclass(frozen=True, slots=True)
class Broken:
    """A tolerance that is broken: `text` is a sentence with the number and what to do."""

    tolerance: str
    where: str
    measured: float | None
    limit: float | None
    text: str


@dataclass(frozen=True, slots=True)
class Report:
    """Everything. `pictures` are the names of those that the outputs were compared on; `shifts` holds what the
    metric would be with class ids moved by so many, and `cause` says what the dataset shows to be wrong. `unchecked`
    says what no tolerance looked at or can hold. `suggested` are tolerances that hold now, with some slack.
    """

    package: str
    task: str
    recipe: dict[str, Any]
    visiond: str
    reference: VariantReport
    variants: tuple[VariantReport, ...]
    preprocessing: tuple[ConventionParity, ...]
    pictures: tuple[str, ...]
    drawn: tuple[str, ...]
    dataset: str | None
    sweep: tuple[SweepRow, ...]
    shifts: dict[int, float]
    cause: str | None
    tolerances: dict[str, Any]
    broken: tuple[Broken, ...]
    unchecked: tuple[str, ...]
    suggested: dict[str, float | str]

    def to_json(self) -> dict[str, Any]:
        """Plain values for JSON, which knows no NaN and no infinity: null stands for them."""
        plain: dict[str, Any] = _finite(asdict(self))
        return plain

    @property
    def all(self) -> Sequence[VariantReport]:
        """The reference first."""
        return self.reference, *self.variants


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(each) for key, each in value.items()}
    return [_finite(each) for each in value] if isinstance(value, (list, tuple)) else value
