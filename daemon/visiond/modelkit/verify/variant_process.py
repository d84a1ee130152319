"""The child that runs one variant: the file, the runtime or the accelerator's library may crash it.

Messages: {stage} before each step, {opened} with what the interpreter is, {progress} with pictures done and how many,
and {failed} with a sentence and an exit code. What is large goes into files of the order's folder.
"""

from __future__ import annotations

import json
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import numpy as np

from visiond.detection import Result, Stages
from visiond.doctor.child_side import Tell, begin
from visiond.engine.golden import prove
from visiond.errors import VisiondError
from visiond.modelkit.evaluation.dataset import load_dataset
from visiond.modelkit.evaluation.measure import evaluate, evaluate_recipes, min_score_for
from visiond.modelkit.evaluation.pictures import PictureProblem, open_picture
from visiond.modelkit.manifest import InputRecipe
from visiond.modelkit.package import load_package
from visiond.modelkit.runner import Runner
from visiond.modelkit.verify.order import EVALUATION, RUNS, SWEEP, VariantOrder, tensor_to_json

_FOUND_AS: Final = {"detection": "objects", "pose": "objects", "classification": "classes", "segmentation": "segments"}
_TELL_EVERY_S: Final = 0.2
_RESAMPLES: Final = 100  # of each recipe: 35 of them take their time
_EVALUATED: Final = 100  # boxes of a picture, as COCO counts


def main() -> None:
    """Do what the order says."""
    carry_out(*begin())


def carry_out(raw: dict[str, Any], tell: Tell) -> None:
    """Run the order's variant; whatever it fails of is told."""
    order = VariantOrder.from_json(raw)
    try:
        _run(order, tell)
    except VisiondError as error:
        tell(failed=str(error), exit_code=error.exit_code, of_picture=isinstance(error, PictureProblem))
    except RuntimeError as error:  # an invoke's; its text is the runtime's own
        tell(failed=f"an invoke failed: {' '.join(str(error).split())}", exit_code=69, of_picture=False)


def _run(order: VariantOrder, tell: Tell) -> None:
    package = load_package(Path(order.folder))
    tell(stage="loading the model")
    dataset = None
    if order.dataset is not None:
        dataset = load_dataset(Path(order.dataset), package.load_labels(), package.task, order.most)
    with Runner(package, order.variant) as runner:
        tell(stage="running the golden examples")
        golden = prove(package, runner.interpreter, runner.preprocessor(package.input))
        tell(opened=_opened(runner, golden.passed, golden.failures))
        tell(stage="running the pictures")
        _run_pictures(runner, order, tell)
        if dataset is None:
            return
        runner.set_thresholds(min_score_for(package.task), _EVALUATED)
        tell(stage="evaluating the dataset")
        progress = _Progress(tell)
        _write(order, EVALUATION, asdict(evaluate(runner, dataset, progress)))
        if order.recipes:
            tell(stage="sweeping resize and interpolation")
            recipes = [InputRecipe.model_validate(each) for each in order.recipes]
            few = load_dataset(Path(order.dataset or ""), package.load_labels(), package.task, order.sweep_most)
            swept = evaluate_recipes(runner, few, recipes, progress, _RESAMPLES)
            _write(order, SWEEP, [asdict(each) for each in swept])


def _run_pictures(runner: Runner, order: VariantOrder, tell: Tell) -> None:
    rows = []
    for number, path in enumerate(order.pictures):
        run = runner.run(open_picture(Path(path)))
        np.savez(Path(order.out) / f"{number}.npz", *run.outputs)
        stages = Stages(0.0, run.preprocess_ms, run.invoke_ms, run.decode_ms)
        what: dict[str, Any] = {_FOUND_AS[runner.package.task]: run.found}
        result = Result("", number, 0, runner.interpreter.engine, stages, **what)
        rows.append({"result": result.to_json(), "invoke_ms": run.invoke_ms, "problem": run.problem})
        tell(progress=[number + 1, len(order.pictures)])
    _write(order, RUNS, rows)


def _opened(runner: Runner, passed: int, failures: tuple[str, ...]) -> dict[str, Any]:
    interpreter = runner.interpreter
    return {
        "engine": interpreter.engine,
        "runtime": interpreter.runtime,
        "library": interpreter.library,
        "remark": interpreter.remark,
        "input": tensor_to_json(interpreter.input),
        "outputs": [tensor_to_json(info) for info in interpreter.outputs],
        "golden_passed": passed,
        "golden_failures": failures,
    }


def _write(order: VariantOrder, name: str, content: Any) -> None:
    (Path(order.out) / name).write_text(json.dumps(content))


class _Progress:
    """Tells how far it is, now and then."""

    def __init__(self, tell: Tell) -> None:
        self._tell = tell
        self._told_s = 0.0

    def __call__(self, done: int, of: int) -> None:
        if done == of or time.monotonic() - self._told_s >= _TELL_EVERY_S:
            self._told_s = time.monotonic()
            self._tell(progress=[done, of])


if __name__ == "__main__":
    main()
