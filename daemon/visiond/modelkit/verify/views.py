"""Pictures of the HTML report as data addresses: what was found, and where input tensors differ."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from visiond.detection import Detection, Result, Segment
from visiond.engine.golden_places import mask_cells
from visiond.modelkit.runner import Picture
from visiond.modelkit.verify.findings import CLEAR_AREA, CLEAR_KEYPOINT, CLEAR_SCORE

_WIDTH: Final = 360
_AMPLIFIED: Final = 32  # a difference of one quantum must be seen
_COLOURS: Final = ((60, 200, 60), (230, 120, 30), (60, 60, 230), (200, 60, 200), (30, 190, 220), (120, 120, 240))


def data_address(picture: NDArray[np.uint8], sharp: bool = False) -> str:
    """Return a picture (BGR) as a data address: JPEG, or PNG where every pixel counts."""
    kind = "png" if sharp else "jpeg"
    _, encoded = cv2.imencode(f".{'png' if sharp else 'jpg'}", picture)
    return f"data:image/{kind};base64,{base64.b64encode(encoded.tobytes()).decode()}"


def thumbnail(picture: Picture, width: int = _WIDTH) -> Picture:
    """Return it at that width."""
    height = max(1, round(picture.shape[0] * width / picture.shape[1]))
    return np.asarray(cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA), np.uint8)


def drawn_findings(picture: Picture, result: Result) -> str:
    """Return the picture with boxes, keypoints and masks, as a data address."""
    canvas = thumbnail(picture)
    for segment in result.segments or ():
        if segment.area >= CLEAR_AREA:
            _draw_segment(canvas, segment)
    for each in result.objects or ():
        if each.score >= CLEAR_SCORE:
            _draw_object(canvas, each)
    return data_address(canvas)


def caption(result: Result) -> str:
    """Say what was found, in a line."""
    if result.classes is not None:
        return ", ".join(f"{each.label or each.class_id} {each.score:.2f}" for each in result.classes[:3]) or "nothing"
    if result.segments is not None:
        large = [each for each in result.segments if each.area >= CLEAR_AREA]
        return ", ".join(f"{each.label or each.class_id} {each.area:.0%}" for each in large) or "nothing"
    clear = [each for each in result.objects or () if each.score >= CLEAR_SCORE][:6]
    return ", ".join(f"{each.label or each.class_id} {each.score:.2f}" for each in clear) or "nothing clear"


def difference_map(gaps: NDArray[np.float64]) -> str:
    """Return |differences| (height, width, channels) as a picture: black is equal, white 8 quanta and more."""
    shades = np.clip(gaps.max(axis=2) * _AMPLIFIED, 0, 255).astype(np.uint8)
    return data_address(np.repeat(shades[:, :, None], 3, axis=2), sharp=True)


def tensor_picture(values: NDArray[Any], color: str) -> str:
    """Return an input tensor (1, height, width, channels) as a picture: its own range spread over black to white."""
    plane = values[0].astype(np.float64)
    least, most = plane.min(), plane.max()
    shades = ((plane - least) / max(most - least, 1e-9) * 255).astype(np.uint8)
    if shades.shape[2] == 1:
        shades = np.repeat(shades, 3, axis=2)
    return data_address(np.ascontiguousarray(shades[:, :, ::-1] if color == "rgb" else shades), sharp=True)


def _draw_object(canvas: Picture, each: Detection) -> None:
    height, width = canvas.shape[:2]
    colour = _COLOURS[each.class_id % len(_COLOURS)]
    box = each.box
    first, last = _at(box.xmin, box.ymin, width, height), _at(box.xmax, box.ymax, width, height)
    cv2.rectangle(canvas, first, last, colour, 2)
    if each.label:
        cv2.putText(canvas, each.label, (first[0] + 3, first[1] + 14), cv2.FONT_HERSHEY_SIMPLEX, 0.45, colour, 1)
    for point in each.keypoints or ():
        if point.score >= CLEAR_KEYPOINT:
            cv2.circle(canvas, _at(point.x, point.y, width, height), 3, (60, 60, 230), -1)


def _draw_segment(canvas: Picture, segment: Segment) -> None:
    cells = mask_cells(segment.mask).astype(np.uint8)
    mask = cv2.resize(cells, (canvas.shape[1], canvas.shape[0]), interpolation=cv2.INTER_NEAREST) > 0
    colour = np.array(_COLOURS[segment.class_id % len(_COLOURS)], np.float64)
    canvas[mask] = (canvas[mask] * 0.5 + colour * 0.5).astype(np.uint8)


def _at(x: float, y: float, width: int, height: int) -> tuple[int, int]:
    return round(x * (width - 1)), round(y * (height - 1))


def class_names(ids: Sequence[int], names: Sequence[str | None]) -> str:
    """Return labels of class ids, in a line."""
    return ", ".join(str(names[each] or each) if 0 <= each < len(names) else str(each) for each in ids)
