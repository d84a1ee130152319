"""A stick is unplugged while it works and plugged in again, by a person who is a few lines of Python."""

import signal
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from doctor.conftest import Place
from visiond.doctor import replug
from visiond.doctor.report import Finding

pytestmark = pytest.mark.slow


@dataclass
class Someone:
    """Answers the question, and does what is asked for in words."""

    place: Place
    answer: bool = True
    unplug: bool = True
    while_it_is_out: Callable[[], None] = lambda: None
    heard: list[str] = field(default_factory=list)

    def agrees(self, question: str) -> bool:
        self.heard.append(question)
        return self.answer

    def tell(self, text: str) -> None:
        self.heard.append(text)
        stick = self.place.simulator.stick(0)
        if "unplug it now" in text and self.unplug:
            stick.unplug()
        if "Plug it in again" in text:
            self.while_it_is_out()
            stick.plug()


def exercised(place: Place, someone: Someone, deadline_s: float = 20.0) -> Finding:
    return place.examine(1.0, someone, deadline_s)["exercise", "unplugged at work"]


def test_it_sees_the_abort_the_return_and_the_firmware(place: Place) -> None:
    place.simulator.stick(0).set_open_ms(200)
    someone = Someone(place)
    finding = exercised(place, someone)
    assert finding.state == "ok"
    assert finding.data["status"] == -signal.SIGABRT
    assert "came back as 1a6e:089a" in finding.seen
    assert "as 18d1:9302" in finding.seen
    assert finding.data["opened_s"] >= 0.2
    assert someone.heard[0].startswith("Unplug the stick at port 2-1 ")
    assert place.simulator.stick(0).counters().second_openers == 0


def test_it_can_be_declined(place: Place) -> None:
    finding = exercised(place, Someone(place, answer=False))
    assert (finding.state, finding.seen) == ("skipped", "declined")
    assert place.simulator.stick(0).get("plugs") == 1


def test_nobody_unplugs_it(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replug, "PATIENCE_S", 0.5)
    finding = exercised(place, Someone(place, unplug=False))
    assert finding.state == "fail"
    assert finding.seen == "still there after 0.5 s"
    counters = place.simulator.stick(0).counters()
    assert (counters.owner, counters.phase) == (0, "closed"), "it is closed, not torn out of the process that had it"


def test_a_stick_that_does_not_work_again_fails(place: Place) -> None:
    someone = Someone(place, while_it_is_out=lambda: place.simulator.stick(0).fail("create_abort"))
    finding = exercised(place, someone)
    assert finding.state == "fail"
    assert "it does not work again: the process died of SIGABRT" in str(finding.cause)
