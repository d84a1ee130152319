"""Write what surrounds shapes.tflite: labels.txt, golden pictures, and model.yaml with checksum and golden examples.

Usage: python package.py; run it after train.py.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Final

import cv2
from scenes_dataset import UNSEEN_SEED

from visiond.cameras.scenes import Truth, still_scene
from visiond.cameras.solids import LABELS

HERE: Final = Path(__file__).resolve().parent
GOLDEN: Final = 3
GOLDEN_SIZE: Final = (240, 180)
LEAST_SIDE: Final = 0.15  # of the frame: a small solid's score says little

MANIFEST: Final = """\
# Made by package.py; see README.md.
name: shapes
task: detection
files:
  cpu: {{path: shapes.tflite, sha256: {sha256}}}
labels: {{path: labels.txt, offset: 0}}
input:
  resize: stretch
  interpolation: bilinear
  color: rgb
  mean: [0, 0, 0]
  std: [255, 255, 255]
output:
  decoder: yolov8
golden:
{golden}
license: Apache-2.0
source: models/shapes of visiond, trained by train.py on scenes of synthetic:shapes
"""


def main() -> None:
    (HERE / "labels.txt").write_text("".join(f"{label}\n" for label in LABELS))
    lines: list[str] = []
    seed = UNSEEN_SEED  # below it lies what is neither trained on nor measured with
    while len(lines) < GOLDEN:
        seed -= 1
        picture, truth = still_scene(seed, GOLDEN_SIZE)
        expected = ", ".join(_expectation(each) for each in truth if _clear(each))
        if expected:
            name = f"golden{len(lines) + 1}.png"
            cv2.imwrite(str(HERE / name), picture)
            lines.append(f"  - {{image: {name}, expect: [{expected}]}}")
    checksum = hashlib.sha256((HERE / "shapes.tflite").read_bytes()).hexdigest()
    (HERE / "model.yaml").write_text(MANIFEST.format(sha256=checksum, golden="\n".join(lines)))


def _clear(truth: Truth) -> bool:
    box = truth.box
    return min(box.xmax - box.xmin, (box.ymax - box.ymin) * 0.75) >= LEAST_SIDE


def _expectation(truth: Truth) -> str:
    box = truth.box
    corners = ", ".join(f"{corner:.3f}" for corner in (box.ymin, box.xmin, box.ymax, box.xmax))
    return f"{{label: {truth.label}, min_score: 0.5, box: [{corners}], iou: 0.75}}"


if __name__ == "__main__":
    main()
