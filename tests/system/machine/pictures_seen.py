"""Known pictures, played into the camera, come out of the socket: for the robot, and for nobody else."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import camera
from device import Robot, Stopwatch, configure, say, show, step
from installation import CONFIGURATION, PACKAGE
from robot_user import watching

LEAST_IOU = 0.75
MOST_RESULTS = 200
NEARLY = 0.1  # the cable halves the colours' resolution, which moves a score


class Known(NamedTuple):
    """What is found in the file itself."""

    label: str
    score: float
    box: tuple[float, float, float, float]  # xmin, ymin, xmax, ymax as fractions


PHOTOGRAPHS = {  # by COCO SSD in a plain loop, ../shared/assets/README.md
    "cat_720p.jpg": Known("cat", 0.730, (0.071, 0.131, 0.718, 0.977)),
    "owl.jpg": Known("bird", 0.824, (0.300, 0.027, 0.649, 0.956)),
}
DRAWING = {"golden2.png": Known("cube", 0.967, (0.454, 0.194, 0.796, 0.639))}  # models/shapes/model.yaml


def refused() -> None:
    step("a user outside the group is refused")
    output = show("sudo", "-u", "pi", "visiond", "watch", "--json", "--count", "1", code=69)
    assert "no permission to use /run/visiond/visiond.sock: " in output
    assert "usermod -aG visiond" in output


def pictures_seen() -> None:
    step("known pictures, read by a user of the group")
    camera.become(camera.CABLE)
    seen(DRAWING)
    camera.become(camera.WEBCAM)  # the cable's 60 frames a second would delay the start of another model
    step("photographs, through COCO SSD, which a reload brings")
    config = copy.deepcopy(CONFIGURATION)
    config["models"]["objects"] |= {"package": str(PACKAGE), "threads": 2}
    config["cameras"]["front"]["max_age_ms"] = 60_000  # an emulated processor takes seconds for it
    with Robot() as robot:
        epoch = robot.sees()["epoch"]
        configure(config)
        assert "restarted: model objects: started anew for package" in show("visiond", "reload")
        clock = Stopwatch()
        result = robot.until(lambda message: message["type"] == "detections" and message["epoch"] > epoch)
    say(f"its first result after {clock}, {result['stages_ms']['invoke']:.0f} ms an invoke")
    camera.become(camera.CABLE)
    seen(PHOTOGRAPHS)
    camera.become(camera.WEBCAM)


def seen(pictures: dict[str, Known]) -> None:
    """The robot, an unprivileged user of the group, gets each of them with label, score and place."""
    with watching() as result:
        for picture, known in pictures.items():
            clock = Stopwatch()
            with camera.shown(picture):
                found = first_of(known.label, result)
            overlap = iou(found["box"], known.box)
            score = f"{found['score']:.3f}, {known.score:.3f} from the file"
            say(f"{picture}: {found['label']} {score}, IoU of the boxes {overlap:.2f}, after {clock}")
            assert found["score"] > known.score - NEARLY
            assert overlap > LEAST_IOU


def first_of(label: str, result: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Of the first results with such an object, that of the highest score."""
    objects: list[dict[str, Any]] = []
    for _ in range(MOST_RESULTS):
        objects = result()["objects"]
        if found := [each for each in objects if each["label"] == label]:
            return max(found, key=lambda each: each["score"])
    raise AssertionError(f"no {label} in {MOST_RESULTS} results; the last: {objects}")


def iou(one: Sequence[float], other: Sequence[float]) -> float:
    """Intersection over union of two boxes."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    both = max(0.0, width) * max(0.0, height)
    areas = sum((box[2] - box[0]) * (box[3] - box[1]) for box in (one, other))
    return both / (areas - both)
