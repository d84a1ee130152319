"""Golden examples of what the float model finds: with slack for a quantized one, and none for another model."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final

from visiond.detection import Detection, Result

_SLACK: Final = 0.8  # of a score: what quantization and another runtime's rounding may cost
_CLEAR: Final = 0.4  # a lower score may be gone in a quantized twin
_MOST: Final = 5
_IOU: Final = 0.7


def examples(task: str, names: Sequence[str], results: Sequence[Result]) -> list[dict[str, Any]]:
    """Return the entries of `golden` for pictures (`names`, in the package) and what was found in each.

    A picture in which nothing clear with a label was found gives none; poses and segments are left to
    `visiond models verify --record`.
    """
    found = []
    for name, result in zip(names, results, strict=True):
        if task == "classification":
            expected = [_expected(each.label, each.score) for each in (result.classes or ())[:1] if each.label]
        elif task == "detection":
            clear = [each for each in result.objects or () if each.label and each.score >= _CLEAR]
            expected = [_expected(each.label, each.score) | _place(each) for each in clear[:_MOST]]
        else:
            expected = []
        if expected:
            found.append({"image": name, "expect": expected})
    return found


def _expected(label: str | None, score: float) -> dict[str, Any]:
    return {"label": label, "min_score": math.floor(score * _SLACK * 100) / 100}


def _place(found: Detection) -> dict[str, Any]:
    box = found.box
    edges = [round(edge, 3) for edge in (box.ymin, box.xmin, box.ymax, box.xmax)]
    return {"box": edges, "iou": _IOU}
