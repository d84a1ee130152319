"""USB cameras that fail, rows 1 to 10 of the fault table: the real worker process, a stand-in for the device.

What needs a kernel is in tests/system/machine/v4l2_check.py, what needs a network in test_stream_faults.py.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from cameras.camera_process import CameraProcess
from cameras.marked_pictures import mark_of, now_ms
from cameras.virtual_webcam import VirtualWebcam

pytestmark = pytest.mark.slow

LOST_S = 1.0
FROZEN_S = 2.0
RESUME_S = 3.0
BUSY_MACHINE_S = 1.0  # on top of the bounds, where tests share a machine with others


@pytest.fixture
def webcam(tmp_path: Path) -> VirtualWebcam:
    return VirtualWebcam(tmp_path)


@pytest.fixture
def camera(webcam: VirtualWebcam) -> Iterator[CameraProcess]:
    """A worker whose camera is plugged in and has been seen to have noise."""
    webcam.plug()
    with webcam.worker() as worker:
        worker.wait_captured(35)
        yield worker


def seconds_since(moment_s: float) -> float:
    return time.monotonic() - moment_s


def told_within(camera: CameraProcess, state: str, bound_s: float) -> str:
    """Wait for the state; return its reason."""
    began_s = time.monotonic()
    report = camera.until_state(state)
    assert seconds_since(began_s) < bound_s + BUSY_MACHINE_S
    assert report.reason is not None
    assert report.retry_in_s is not None
    return report.reason


def fresh_within(camera: CameraProcess, bound_s: float) -> None:
    """Wait for a frame that was made from now on."""
    began_s = time.monotonic()
    began_ns = time.monotonic_ns()
    while camera.take()[0].captured_ns < began_ns:
        pass
    assert seconds_since(began_s) < bound_s + BUSY_MACHINE_S


def test_fault_01_a_camera_that_comes_after_the_start_is_found(webcam: VirtualWebcam) -> None:
    with webcam.worker() as camera:
        waits = []
        for _ in range(4):
            report = camera.until(lambda report: report.state == "absent")
            assert report.reason is not None
            assert str(webcam.by_id) in report.reason
            waits.append(report.retry_in_s)
        webcam.plug()
        fresh_within(camera, RESUME_S)
        assert camera.until_state("streaming").reason is None
    assert all(wait is not None and wait <= 1.8 for wait in waits)


def test_fault_02_a_camera_that_is_pulled_out_is_lost_and_found_again(
    webcam: VirtualWebcam, camera: CameraProcess
) -> None:
    webcam.unplug()
    assert told_within(camera, "lost", LOST_S) == f"{webcam.by_id}: unplugged"
    assert "is it plugged in?" in told_within(camera, "absent", RESUME_S)
    webcam.plug()
    fresh_within(camera, RESUME_S)


def test_fault_03_a_camera_that_falls_silent_is_lost(webcam: VirtualWebcam, camera: CameraProcess) -> None:
    webcam.does(silent=True)
    assert "gives no frames any more; check its plug and power" in told_within(camera, "lost", LOST_S)
    webcam.does()
    fresh_within(camera, RESUME_S)


def test_fault_04_a_driver_that_delivers_one_buffer_again_and_again_is_frozen(
    webcam: VirtualWebcam, camera: CameraProcess
) -> None:
    webcam.does(delivers_the_last_again=True)
    frozen_ns = time.monotonic_ns()
    assert "the same frame again and again; unplug it" in told_within(camera, "frozen", FROZEN_S)
    frozen = camera.last
    assert camera.ring is not None
    assert camera.ring.counters().last_captured_ns < frozen_ns + 100_000_000, "an old frame was published as a new one"
    captured = camera.ring.counters().captured
    repeated = Counter(camera.last.skipped)["repeated"]
    assert repeated > 10
    camera.until(lambda report: Counter(report.skipped)["repeated"] > 1.5 * repeated)
    camera.until_state("frozen")  # opened anew, it is as before
    assert camera.ring.counters().captured == captured
    assert not any(report.state == "streaming" for report in camera.reports[camera.reports.index(frozen) :])
    webcam.does()
    fresh_within(camera, RESUME_S)


def test_fault_04_a_camera_that_shows_one_picture_again_and_again_is_frozen(
    webcam: VirtualWebcam, camera: CameraProcess
) -> None:
    webcam.does(shows_the_last_again=True)
    frozen_ns = time.monotonic_ns()
    assert "no pixel of its picture has changed for 1.5 s" in told_within(camera, "frozen", FROZEN_S)
    assert camera.ring is not None
    assert camera.ring.counters().last_captured_ns < frozen_ns + 100_000_000
    webcam.does()
    fresh_within(camera, RESUME_S)


def test_fault_04_a_source_that_never_had_noise_may_stand_still(webcam: VirtualWebcam) -> None:
    webcam.plug()
    with webcam.worker() as camera:
        camera.wait_captured(2)
        webcam.does(shows_the_last_again=True)  # a computer's screen, through a grabber
        camera.wait_captured(80)
        assert {report.state for report in camera.reports} <= {"opening", "streaming"}


def test_fault_05_broken_frames_are_counted_and_thirty_in_a_row_are_a_lost_camera(
    webcam: VirtualWebcam, camera: CameraProcess
) -> None:
    assert camera.ring is not None
    webcam.does(broken=True, fps=60)
    camera.until(lambda report: bool(report.skipped))
    captured = camera.ring.counters().captured
    assert "30 frames in a row were broken; check cable, bandwidth and format" in told_within(camera, "lost", LOST_S)
    assert camera.ring.counters().captured == captured
    skipped = Counter(camera.last.skipped)
    assert skipped["corrupt"] >= 30
    webcam.does()
    fresh_within(camera, RESUME_S)


@pytest.mark.parametrize(
    ("grey", "quality", "words"),
    [(0, "dark", "almost black"), (255, "bright", "almost white"), (90, "flat", "covered")],
)
def test_fault_06_a_covered_lens_is_told_and_detections_go_on(
    webcam: VirtualWebcam, camera: CameraProcess, grey: int, quality: str, words: str
) -> None:
    assert camera.last.quality is None
    webcam.does(grey=grey)
    report = camera.until(lambda report: report.quality is not None)
    assert (report.state, report.quality) == ("streaming", quality)
    assert report.remark is not None
    assert words in report.remark
    fresh_within(camera, 0.2)
    webcam.does()
    assert camera.until(lambda report: report.quality is None).remark is None
    assert {report.state for report in camera.reports} <= {"opening", "streaming"}


def test_fault_06_a_picture_of_one_colour_may_stay_the_same(webcam: VirtualWebcam, camera: CameraProcess) -> None:
    webcam.does(grey=0)
    camera.until(lambda report: report.quality == "dark")
    webcam.does(shows_the_last_again=True)  # black to the last bit: there is no noise in it
    assert camera.ring is not None
    camera.wait_captured(camera.ring.counters().captured + 60)
    assert camera.last.state == "streaming"


def test_fault_07_another_size_in_the_middle_goes_on_within_a_second(
    webcam: VirtualWebcam, camera: CameraProcess
) -> None:
    before = camera.take()[0]
    webcam.does(size=(640, 480))
    header, pixels = camera.take()
    while header.width == 320:
        before, (header, pixels) = header, camera.take()
    assert (header.width, header.height) == (640, 480)
    assert header.captured_ns - before.captured_ns < 1e9
    assert header.frame > before.frame
    assert (now_ms() - mark_of(pixels)) & 0xFFFF < 1000, "the picture is not read in its own size"
    assert camera.until(lambda report: report.size == (640, 480)).state == "streaming"


def test_fault_08_a_camera_that_is_slower_than_asked_is_told_with_its_rate(webcam: VirtualWebcam) -> None:
    webcam.plug(fps=10)
    with webcam.worker(fps=60) as camera:
        report = camera.until(lambda report: report.remark is not None)
        assert report.state == "streaming"
        assert report.remark is not None
        assert "of the 60 frames a second that are asked; more light" in report.remark
        assert report.fps is not None
        assert 3 < report.fps < 11
        webcam.does(fps=240)
        assert camera.until(lambda report: report.remark is None).state == "streaming"


def test_fault_08_of_a_camera_that_is_faster_the_newest_frames_are_taken(webcam: VirtualWebcam) -> None:
    webcam.plug(fps=240)
    with webcam.worker(fps=15) as camera:
        camera.take()
        stamps = [camera.take()[0].captured_ns for _ in range(16)]
        assert camera.last.remark is None
    assert 0.9 < (stamps[-1] - stamps[0]) / 1e9 < 2.5  # 15 periods of 67 ms
    assert all(later > earlier for earlier, later in pairwise(stamps))


def test_fault_09_a_camera_of_another_program_is_busy_and_the_program_is_named(webcam: VirtualWebcam) -> None:
    webcam.plug(busy=True)
    holder = os.open(webcam.node, os.O_RDONLY)
    try:
        with webcam.worker() as camera:
            reason = told_within(camera, "busy", RESUME_S)
            assert f"{webcam.by_id}: process {os.getpid()} (" in reason
            assert "uses it; end it, or use another camera" in reason
            webcam.does()
            fresh_within(camera, RESUME_S)
    finally:
        os.close(holder)


def test_fault_10_a_camera_is_found_by_its_name_whatever_its_number_and_no_other_takes_its_place(
    webcam: VirtualWebcam, tmp_path: Path
) -> None:
    other = VirtualWebcam(tmp_path, "usb-Other_Webcam-video-index0")
    webcam.plug(0)
    other.plug(1, size=(640, 480))
    with webcam.worker() as camera:
        assert camera.take()[0].width == 320
        webcam.unplug()
        other.unplug()
        other.plug(0, size=(640, 480))  # it has the number now
        told_within(camera, "absent", RESUME_S)
        camera.until(lambda report: report.state == "absent")
        assert camera.last.size == (320, 240)
        webcam.plug(2)
        fresh_within(camera, RESUME_S)
        assert camera.take()[0].width == 320
