"""mAP@0.5 of shapes.tflite on unseen scenes, through the daemon's own preprocessing, interpreter and decoder.

Usage: python evaluate.py [--scenes 500]. Prints average precision per class, their mean, and what a scene takes.
"""

from __future__ import annotations

import argparse
import statistics
import time
from pathlib import Path
from typing import Final

import numpy as np
from scenes_dataset import SIZES, UNSEEN_SEED

from visiond.cameras.scenes import Truth, still_scene
from visiond.cameras.solids import LABELS
from visiond.detection import Detection
from visiond.engine.decode.decoder import DecodeSettings, make_decoder
from visiond.engine.interpreter import open_interpreter
from visiond.engine.preprocess import Preprocessor
from visiond.modelkit.package import load_package

HERE: Final = Path(__file__).resolve().parent
IOU: Final = 0.5
MIN_SCORE: Final = 0.01  # low, so that the whole curve of precision over recall is measured


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure the shapes model.")
    parser.add_argument("--scenes", type=int, default=500)
    average_precision, invoke_ms = evaluate(parser.parse_args().scenes)
    for label, value in average_precision.items():
        print(f"{label:<8} AP@{IOU} {value:.3f}")
    print(f"mAP@{IOU} {statistics.mean(average_precision.values()):.3f}")
    print(f"invoke p50 {invoke_ms:.2f} ms, 1 thread")


def evaluate(scenes: int, first_seed: int = UNSEEN_SEED) -> tuple[dict[str, float], float]:
    """Return average precision by label over `scenes` scenes of the camera's sizes, and the median invoke in ms."""
    package = load_package(HERE)
    interpreter = open_interpreter(package.file("cpu"), threads=1)
    preprocessor = Preprocessor(package.input, interpreter.input)
    _, height, width, _ = interpreter.input.shape
    settings = DecodeSettings(package.load_labels(), MIN_SCORE, 100, (width, height))
    decoder = make_decoder(package.output, interpreter.outputs, settings)
    found: list[tuple[Detection, ...]] = []
    truth: list[tuple[Truth, ...]] = []
    spans_ms = []
    for seed in range(first_seed, first_seed + scenes):
        picture, true = still_scene(seed, SIZES[seed % len(SIZES)])
        geometry = preprocessor.write(picture, interpreter.input_view())
        began_s = time.perf_counter()
        interpreter.invoke()
        spans_ms.append((time.perf_counter() - began_s) * 1e3)
        found.append(
            tuple(each for each in decoder(interpreter.read_outputs(), geometry) if isinstance(each, Detection))
        )
        truth.append(true)
    return {label: average_precision(label, found, truth) for label in LABELS}, statistics.median(spans_ms)


def average_precision(label: str, found: list[tuple[Detection, ...]], truth: list[tuple[Truth, ...]]) -> float:
    """Area under the precision-recall curve, precision made monotonic (Pascal VOC 2010 and later), at IoU 0.5."""
    unmatched = {scene: [each.box for each in true if each.label == label] for scene, true in enumerate(truth)}
    total = sum(len(boxes) for boxes in unmatched.values())
    ranked = sorted(
        ((each, scene) for scene, objects in enumerate(found) for each in objects if each.label == label),
        key=lambda pair: -pair[0].score,
    )
    hits = []
    for each, scene in ranked:
        best = max(unmatched[scene], key=each.box.iou, default=None)
        hit = best is not None and each.box.iou(best) >= IOU
        if hit and best is not None:
            unmatched[scene].remove(best)
        hits.append(hit)
    if not total or not hits:
        return 0.0
    true_positives = np.cumsum(hits)
    recall = np.concatenate([[0], true_positives / total])
    precision = true_positives / np.arange(1, len(hits) + 1)
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    return float(np.sum(np.diff(recall) * envelope))


if __name__ == "__main__":
    main()
