"""Consistency: what is wrong with a model.yaml although each key for itself is right."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from visiond.modelkit.labels import Labels
from visiond.modelkit.manifest import DecoderName, Expectation, Manifest, Task

KeyPath = tuple[str | int, ...]
Problem = tuple[KeyPath, str]

TASK_DECODERS: Final[dict[Task, frozenset[DecoderName]]] = {
    "classification": frozenset({"scores"}),
    "detection": frozenset({"ssd_postprocess", "ssd_raw", "yolov5", "yolov8"}),
    "pose": frozenset({"movenet", "posenet"}),
    "segmentation": frozenset({"deeplab"}),
}
# Keys of `output` that mean something to some decoders only.
DECODERS_OF_KEY: Final[dict[str, frozenset[DecoderName]]] = {
    "anchors": frozenset({"ssd_raw"}),
    "box_scales": frozenset({"ssd_raw"}),
    "background": frozenset({"ssd_raw", "deeplab"}),
    "keypoints": frozenset({"movenet", "posenet"}),
}
# Keys of an expectation that mean something to some tasks only.
TASKS_OF_EXPECTED: Final[dict[str, frozenset[Task]]] = {
    "min_score": frozenset({"classification", "detection", "pose"}),
    "box": frozenset({"detection", "pose", "segmentation"}),
    "mask": frozenset({"segmentation"}),
    "keypoints": frozenset({"pose"}),
    "within": frozenset({"pose"}),
}
# Keys of `tolerances` that mean something to some tasks only.
TASKS_OF_TOLERANCE: Final[dict[str, frozenset[Task]]] = {
    "min_top1_agreement": frozenset({"classification"}),
    "min_iou": frozenset({"detection", "pose", "segmentation"}),
    "max_score_gap": frozenset({"classification", "detection", "pose"}),
    "max_keypoint_gap": frozenset({"pose"}),
    "min_accuracy": frozenset({"classification", "detection"}),
    "max_accuracy_loss": frozenset({"classification", "detection"}),
}


def contradictions(package: Manifest, read_labels: Callable[[], Labels]) -> Iterator[Problem]:
    """Yield what no single key shows, as (key path, text); `read_labels` raises ValueError in words."""
    yield from _of_input(package)
    yield from _of_output(package)
    yield from _of_tolerances(package)
    try:
        labels = read_labels()
    except ValueError as error:
        yield ("labels", "path"), str(error)
        return
    for position, example in enumerate(package.golden):
        for number, expected in enumerate(example.expect):
            where = ("golden", position, "expect", number)
            if expected.label not in labels.names:
                yield (*where, "label"), f"'{expected.label}' is none of the labels; correct it, or the label file"
            yield from _of_expectation(package.task, expected, where)


def _of_input(package: Manifest) -> Iterator[Problem]:
    recipe = package.input
    for key, numbers in (("mean", recipe.mean), ("std", recipe.std)):
        if len(numbers) != recipe.channels:
            yield (
                ("input", key),
                f"needs {recipe.channels} numbers with color: {recipe.color}, one per channel, not {len(numbers)}",
            )
    if recipe.shorter_side is not None and recipe.resize != "shorter_side":
        yield (
            ("input", "shorter_side"),
            f"has no meaning with resize: {recipe.resize}; remove it, or give resize: shorter_side",
        )


def _of_output(package: Manifest) -> Iterator[Problem]:
    decoder, decoders = package.output.decoder, TASK_DECODERS[package.task]
    if decoder not in decoders:
        yield (
            ("output", "decoder"),
            f"{decoder} does not fit task: {package.task}; it takes {', '.join(sorted(decoders))}",
        )
    roles = package.output.roles or {}
    for position in sorted(set(roles.values())):
        names = sorted(role for role, own in roles.items() if own == position)
        if len(names) > 1:
            yield ("output", "roles"), f"gives output {position} to {' and '.join(names)}; each needs one of its own"
    for key in sorted(package.output.model_fields_set & set(DECODERS_OF_KEY)):
        fitting = DECODERS_OF_KEY[key]
        if decoder not in fitting:
            yield (
                ("output", key),
                f"has no meaning with decoder: {decoder}; remove it (it is for {', '.join(sorted(fitting))})",
            )


def _of_tolerances(package: Manifest) -> Iterator[Problem]:
    tolerances = package.tolerances
    if tolerances is None:
        return
    for key in sorted(tolerances.model_fields_set & set(TASKS_OF_TOLERANCE)):
        if package.task not in TASKS_OF_TOLERANCE[key]:
            yield ("tolerances", key), f"has no meaning with task: {package.task}; remove it"
    for key in ("max_input_quanta", "mean_input_quanta"):
        if key in tolerances.model_fields_set and tolerances.convention is None:
            yield ("tolerances", key), "has no meaning without a convention to compare with; add tolerances.convention"


def _of_expectation(task: Task, expected: Expectation, where: KeyPath) -> Iterator[Problem]:
    given = expected.model_fields_set
    for key in sorted(given & set(TASKS_OF_EXPECTED)):
        if task not in TASKS_OF_EXPECTED[key]:
            yield (*where, key), f"has no meaning with task: {task}; remove it"
    if "min_score" not in given and task in TASKS_OF_EXPECTED["min_score"]:
        yield (*where, "min_score"), "is not given; add the least score, 0 to 1"
