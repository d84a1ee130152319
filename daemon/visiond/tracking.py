"""Tracker: gives each object of one camera an id that follows it from frame to frame.

A detection continues the track of its class whose last box it overlaps most (intersection over union, the best pairs
first). What was not seen for a while keeps its id for `keep_ms`, by the frames' own clock: at 5 fps that spans fewer
frames than at 30, but the same movement.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from visiond.detection import Box, Detection, Result

MIN_IOU: Final = 0.3  # of SORT (Bewley et al. 2016, "Simple Online and Realtime Tracking"), section 4.1
KEEP_MS: Final = 1500.0
MAX_TRACKS: Final = 128  # flickering detections would leave thousands behind, each compared with every new one


@dataclass(frozen=True, slots=True)
class _Track:
    track_id: int
    class_id: int
    box: Box
    seen_ns: int


class Tracker:
    """The tracks of one camera. The same results in the same order always give the same ids."""

    def __init__(self, min_iou: float = MIN_IOU, keep_ms: float = KEEP_MS) -> None:
        self._min_iou = min_iou
        self._keep_ns = round(keep_ms * 1e6)
        self._next_id = 1
        self._tracks: list[_Track] = []

    def update(self, result: Result) -> Result:
        """Return the result with the `track_id` of each object set; a result without objects comes back as it is."""
        if result.objects is None:
            return result
        now_ns = result.captured_ns
        alive = [track for track in self._tracks if now_ns - track.seen_ns <= self._keep_ns]
        found = dict(self._match(alive, result.objects))
        seen = [_Track(self._id_of(found, n), d.class_id, d.box, now_ns) for n, d in enumerate(result.objects)]
        continued = {track.track_id for track in seen}
        self._tracks = [*seen, *(track for track in alive if track.track_id not in continued)][:MAX_TRACKS]
        # Not dataclasses.replace, which takes three times as long.
        objects = tuple(
            Detection(d.label, d.class_id, d.score, d.box, track.track_id, d.zones, d.keypoints)
            for d, track in zip(result.objects, seen, strict=True)
        )
        return result.with_objects(objects)

    def reset(self) -> None:
        """Forget the objects, not the ids: after a gap nothing is known to be the same, and no id comes twice."""
        self._tracks = []

    def _id_of(self, found: dict[int, int], detection: int) -> int:
        if detection in found:
            return found[detection]
        self._next_id += 1
        return self._next_id - 1

    def _match(self, tracks: Sequence[_Track], detections: Sequence[Detection]) -> Iterator[tuple[int, int]]:
        """Yield (index of the detection, track id), each at most once, the greatest overlap first."""
        taken_detections: set[int] = set()
        taken_tracks: set[int] = set()
        for _, _, track_id, detection in sorted(self._pairs(tracks, detections)):
            if detection not in taken_detections and track_id not in taken_tracks:
                taken_detections.add(detection)
                taken_tracks.add(track_id)
                yield detection, track_id

    def _pairs(
        self, tracks: Iterable[_Track], detections: Sequence[Detection]
    ) -> Iterator[tuple[float, int, int, int]]:
        """Yield what may belong together as (-overlap, -time last seen, track id, index of the detection)."""
        boxes = [(number, d.class_id, d.box, d.box.xmin, d.box.xmax) for number, d in enumerate(detections)]
        for track in tracks:
            left, right = track.box.xmin, track.box.xmax
            for number, class_id, box, xmin, xmax in boxes:
                if class_id == track.class_id and xmin < right and xmax > left:  # most pairs end here, at no cost
                    overlap = box.iou(track.box)
                    if overlap >= self._min_iou:
                        yield -overlap, -track.seen_ns, track.track_id, number
