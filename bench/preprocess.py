"""From a camera's frame to the input tensor, 640×480 to 300×300 uint8: next to cv2.resize alone, and to NumPy's floats.

In turns of a few calls, so that whatever else the machine does hits all of them alike.
"""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from bench.report import Figure, percentile
from bench.scene import ASSETS
from visiond.cameras.scenes import still_scene
from visiond.engine.preprocess import Preprocessor
from visiond.engine.tensors import Quantization, TensorInfo
from visiond.modelkit.manifest import InputRecipe

TURNS = 300
BLOCK = 8  # calls in a row: with fewer, each finds its own buffers pushed out of the cache by the others'
SIZE = (300, 300)
COCO = {"mean": (128,) * 3, "std": (128,) * 3}  # with COCO SSD's own input, (1/128, 128), each pixel is its own value
TABLE = {"mean": (123.675, 116.28, 103.53), "std": (58.395, 57.12, 57.375)}  # ImageNet's, a table for each channel
ONE_TABLE = {"mean": (127.5,) * 3, "std": (127.5,) * 3}

Frame = NDArray[np.uint8]


def measure() -> list[Figure]:
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)  # as the engine does
    try:
        return _measure(_frame())
    finally:
        cv2.setNumThreads(threads)


def _measure(frame: Frame) -> list[Figure]:
    alone = np.empty((*SIZE, 3), np.uint8)
    calls: dict[str, Callable[[], object]] = {
        "resize": lambda: cv2.resize(frame, SIZE, dst=alone),
        "identity": _ours(frame, COCO, Quantization(1 / 128, 128)),
        "table": _ours(frame, ONE_TABLE, Quantization(0.0186, 114)),
        "tables": _ours(frame, TABLE, Quantization(0.0186, 114)),
        "numpy": lambda: numpy_floats(frame, TABLE, 0.0186, 114),
    }
    spans_ms = _in_turns(calls)
    bars = {"identity": "≤ 1.15", "table": "≤ 1.6", "tables": "≤ 1.6", "numpy": ""}
    names = {
        "identity": "preprocess, 640×480 to 300×300 uint8, the identity: of cv2.resize alone",
        "table": "the same with a table",
        "tables": "the same with a table for each channel",
        "numpy": "the same in NumPy's floats",
    }
    return [_figure(names[key], bars[key], spans_ms[key], spans_ms["resize"]) for key in bars]


def numpy_floats(frame: Frame, recipe: dict[str, Any], scale: float, zero_point: int) -> Frame:
    """What one writes first: resize, turn the colours, then the recipe and the quantization in floats."""
    pixels = cv2.cvtColor(cv2.resize(frame, SIZE), cv2.COLOR_BGR2RGB).astype(np.float32)
    real = (pixels - np.array(recipe["mean"], np.float32)) / np.array(recipe["std"], np.float32)
    return np.clip(np.round(real / scale) + zero_point, 0, 255).astype(np.uint8)


def _ours(frame: Frame, recipe: dict[str, Any], quantization: Quantization) -> Callable[[], object]:
    info = TensorInfo(0, "input", (1, *SIZE, 3), np.dtype(np.uint8), quantization)
    preprocessor, tensor = Preprocessor(InputRecipe.model_validate(recipe), info), np.empty(info.shape, info.dtype)
    return lambda: preprocessor.write(frame, tensor)


def _in_turns(calls: dict[str, Callable[[], object]]) -> dict[str, list[float]]:
    spans_ms: dict[str, list[float]] = {name: [] for name in calls}
    for call in calls.values():
        for _ in range(10):
            call()
    gc.collect()
    for turn in range(TURNS):
        for name in list(calls)[:: 1 if turn % 2 else -1]:
            for _ in range(BLOCK):
                began_ns = time.perf_counter_ns()
                calls[name]()
                spans_ms[name].append((time.perf_counter_ns() - began_ns) / 1e6)
    return spans_ms


def _figure(name: str, bar: str, ours: list[float], alone: list[float]) -> Figure:
    ratio = statistics.median(ours) / statistics.median(alone)
    detail = (
        f"p50 {statistics.median(ours):.3f} ms, resize {statistics.median(alone):.3f} ms; "
        f"p99 {percentile(ours, 99):.3f} ms, resize {percentile(alone, 99):.3f} ms; "
        f"{len(ours)} calls in {TURNS} turns, one thread"
    )
    return Figure(name, ratio, "times", bar, detail)


def _frame() -> Frame:
    """A photograph in a camera's size where the assets are, else a drawn scene."""
    picture = cv2.imread(str(Path(ASSETS) / "images" / "cat_720p.jpg")) if ASSETS.is_dir() else None
    if picture is None:
        return still_scene(1)[0]
    return np.asarray(cv2.resize(picture, (640, 480), interpolation=cv2.INTER_AREA), np.uint8)
