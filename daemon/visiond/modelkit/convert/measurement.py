"""What each variant is: its size, what is in its file, and on a dataset its worth."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from visiond.errors import DataError, UnavailableError
from visiond.modelkit.tflite_file import open_model

if TYPE_CHECKING:
    from visiond.modelkit.evaluation.measure import Evaluation
    from visiond.modelkit.verify.outcome import Outcome

_CHUNK_BYTES = 1 << 20

OnStage = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class Measured:
    """One row of the table. `agreement` with the float model is 0 to 1; None where it was not measured."""

    variant: str
    file: str
    bytes: int
    gzip_bytes: int
    input: str
    output: str
    float_operators: int
    evaluation: Evaluation | None = None
    agreement: float | None = None

    def to_json(self) -> dict[str, Any]:
        """The row as JSON fields; docs/models.md names them."""
        row = {key: value for key, value in asdict(self).items() if key != "evaluation"}
        found = self.evaluation
        if found is None:
            return row
        names = ("metric", "value", "low", "high", "more", "pictures", "undecoded", "invoke_p50_ms")
        told = asdict(found)
        return row | {name: told[name] for name in names}


def measured(variant: str, path: Path) -> Measured:
    """Look at a file; raises DataError where int8 has inputs or outputs that are not integers."""
    with open_model(path) as model:
        inputs = [tensor.dtype for tensor in model.input_tensors]
        outputs = [tensor.dtype for tensor in model.output_tensors]
        produced = {index for operator in model.operators for index in operator.outputs if index >= 0}
        floats = sum(model.tensors[index].dtype in ("float32", "float16") for index in produced)
        size = model.size
    if variant == "int8" and any(dtype.startswith("float") for dtype in (*inputs, *outputs)):
        raise DataError(
            f"{path.name}: int8 was made, and its inputs are {', '.join(inputs)}, its outputs {', '.join(outputs)}; "
            "convert a model whose inputs and outputs can be quantized"
        )
    return Measured(variant, path.name, size, gzip_bytes(path), " ".join(inputs), " ".join(outputs), floats)


def gzip_bytes(path: Path) -> int:
    """Return what gzip makes of a file, at its usual level: what a pruned model saves on its way to a device."""
    packer, size = zlib.compressobj(6, zlib.DEFLATED, 31), 0
    with path.open("rb") as content:
        while chunk := content.read(_CHUNK_BYTES):
            size += len(packer.compress(chunk))
    return size + len(packer.flush())


def run(
    package: Path,
    variant: str,
    file: Path,
    scratch: Path,
    threads: int,
    on_stage: OnStage,
    pictures: Sequence[Path] = (),
    dataset: Path | None = None,
) -> Outcome:
    """Run one variant in a process of its own, on `pictures` and on the dataset.

    Raises UnavailableError, DataError with the sentence that it ended with.
    """
    from visiond.modelkit.runner import Variant
    from visiond.modelkit.verify.order import VariantOrder
    from visiond.modelkit.verify.outcome import run_variant

    out = scratch / variant
    out.mkdir(parents=True, exist_ok=True)
    order = VariantOrder(
        folder=str(package),
        variant=Variant(variant, file, threads=threads),
        out=str(out),
        pictures=tuple(str(picture.absolute()) for picture in pictures),
        dataset=None if dataset is None else str(dataset.absolute()),
    )
    outcome = run_variant(order, on_stage)
    if outcome.failure is not None:
        kind = UnavailableError if outcome.exit_code == UnavailableError.exit_code else DataError
        raise kind(f"{variant}: {outcome.failure}")
    return outcome
