"""One variant run in its child, from the parent's side: what it gave, or the sentence why it gave nothing."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from visiond.detection import Result
from visiond.doctor.child import Message, converse
from visiond.modelkit.evaluation.measure import Evaluation
from visiond.modelkit.evaluation.pictures import PictureProblem
from visiond.modelkit.runner import Variant
from visiond.modelkit.verify.order import (
    EVALUATION,
    RUNS,
    SWEEP,
    Opened,
    PictureRun,
    VariantOrder,
    evaluation_from_json,
)

DEADLINE_S: Final = 300.0  # without a message: a large model with reference kernels, on a slow board
_MODULE: Final = "visiond.modelkit.verify.variant_process"

OnStage = Callable[[str, int, int], None]  # what it is at, done, of how many


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one variant gave. `failure` is a sentence, with `exit_code`; what came before it is there all the same."""

    variant: Variant
    folder: Path
    opened: Opened | None
    runs: tuple[PictureRun, ...]
    evaluation: Evaluation | None
    sweep: tuple[Evaluation, ...]
    failure: str | None
    exit_code: int = 0

    def outputs(self, picture: int) -> list[NDArray[Any]]:
        """Return the raw outputs of a picture, by number, in the model's order."""
        with np.load(self.folder / f"{picture}.npz") as kept:
            return [kept[f"arr_{position}"] for position in range(len(kept.files))]


def run_variant(order: VariantOrder, on_stage: OnStage, deadline_s: float = DEADLINE_S) -> Outcome:
    """Run a variant in a process that may die; what happens there is told in the outcome.

    Raises PictureProblem for a picture that does not open: that is no variant's fault.
    """
    heard: dict[str, Message] = {"stage": {"stage": "starting"}}

    def hear(message: Message) -> None:
        heard[next(iter(message))] = message
        if "stage" in message:
            heard.pop("progress", None)
        done, of = heard.get("progress", {"progress": [0, 0]})["progress"]
        on_stage(heard["stage"]["stage"], done, of)

    ended = converse(_MODULE, order.to_json(), deadline_s, hear)
    failure, code = None, 0
    if "failed" in heard:
        if heard["failed"]["of_picture"]:
            raise PictureProblem(heard["failed"]["failed"])
        failure, code = heard["failed"]["failed"], heard["failed"]["exit_code"]
    elif ended.status != 0:
        words = f": {ended.words}" if ended.words else ""
        failure, code = f"while {heard['stage']['stage']} its process {ended.how}{words}", 70
    folder = Path(order.out)
    raw = _read(folder / EVALUATION)
    return Outcome(
        order.variant,
        folder,
        Opened.from_json(heard["opened"]["opened"]) if "opened" in heard else None,
        tuple(_picture_run(each) for each in _read(folder / RUNS) or ()),
        None if raw is None else evaluation_from_json(raw),
        tuple(evaluation_from_json(each) for each in _read(folder / SWEEP) or ()),
        failure,
        code,
    )


def _picture_run(raw: Message) -> PictureRun:
    return PictureRun(Result.from_json(raw["result"]), raw["invoke_ms"], raw["problem"])


def _read(path: Path) -> Any:
    return json.loads(path.read_text()) if path.exists() else None
