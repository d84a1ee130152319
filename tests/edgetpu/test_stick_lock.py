import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from edgetpu.fake_usb import BOOTLOADER, FakeUsb
from visiond.edgetpu.stick_lock import StickAbsent, StickBusy, StickLock, opening_turn

HOLD = """
import sys
from pathlib import Path
from visiond.edgetpu.stick_lock import StickLock, opening_turn
port, sysfs = sys.argv[1], Path(sys.argv[2])
with opening_turn(5, sysfs) if port == "turn" else StickLock.acquire(port, sysfs):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def usb(tmp_path: Path) -> FakeUsb:
    return FakeUsb(tmp_path)


@pytest.fixture
def holders(usb: FakeUsb, root: Path) -> "Iterator[Holders]":
    running = Holders(usb, root)
    yield running
    for process in running.processes:
        process.kill()
        process.communicate()


class Holders:
    """Other processes that hold a lock until their input ends."""

    def __init__(self, usb: FakeUsb, root: Path) -> None:
        self._usb, self._root = usb, root
        self.processes: list[subprocess.Popen[str]] = []

    def start(self, port: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", HOLD, port, str(self._usb.sysfs)],
            env={"PYTHONPATH": str(self._root / "daemon")},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.processes.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        return process


@pytest.mark.parametrize("port", ["2-1", "2-1.4", "1-3.2.1"])
def test_a_second_process_is_refused_with_the_first_ones_name(usb: FakeUsb, holders: Holders, port: str) -> None:
    usb.plug(port)
    holder = holders.start(port)
    with pytest.raises(StickBusy) as caught:
        StickLock.acquire(port, usb.sysfs)
    assert caught.value.pid == holder.pid
    name = Path(f"/proc/{holder.pid}/comm").read_text().strip()
    assert str(caught.value) == (
        f"the stick at port {port} is used by process {holder.pid} ({name}); stop it, one program can use a stick"
    )
    holder.communicate("")
    StickLock.acquire(port, usb.sysfs).release()


def test_the_kernel_frees_the_lock_of_a_holder_that_was_killed(usb: FakeUsb, holders: Holders) -> None:
    usb.plug("2-1")
    holder = holders.start("2-1")
    holder.kill()
    holder.wait()
    with StickLock.acquire("2-1", usb.sysfs):
        pass
    assert list(usb.port_folder("2-1").iterdir()) == [], "nothing is left behind"


@pytest.mark.parametrize("by_link", [True, False])
def test_fault_17_the_lock_holds_while_the_stick_reenumerates(usb: FakeUsb, holders: Holders, by_link: bool) -> None:
    usb.port_folder("2-1").mkdir(parents=True)
    usb.plug("2-1", BOOTLOADER, with_port_link=by_link)
    holders.start("2-1")
    usb.reenumerate("2-1")
    with pytest.raises(StickBusy):
        StickLock.acquire("2-1", usb.sysfs)
    usb.unplug("2-1")
    with pytest.raises(StickBusy):
        StickLock.acquire("2-1", usb.sysfs)


def test_sticks_are_locked_one_by_one(usb: FakeUsb, holders: Holders) -> None:
    for port in ("2-1", "2-2", "2-1.4"):
        usb.plug(port)
        holders.start(port)


def test_where_no_port_is_shown_the_devices_own_folder_is_locked(usb: FakeUsb, holders: Holders) -> None:
    usb.plug("2-1", with_port_link=False)
    holders.start("2-1")
    with pytest.raises(StickBusy):
        StickLock.acquire("2-1", usb.sysfs)


def test_a_folder_that_goes_between_open_and_lock_is_not_taken(usb: FakeUsb, monkeypatch: pytest.MonkeyPatch) -> None:
    """The device's own folder re-enumerates: the lock must be on the new one, or two could each hold one."""
    import fcntl

    usb.plug("2-1", with_port_link=False)
    real, replaced = fcntl.flock, []

    def flock(fd: int, operation: int) -> None:
        if not replaced:
            replaced.append(usb.reenumerate("2-1"))
        real(fd, operation)

    monkeypatch.setattr(fcntl, "flock", flock)
    with StickLock.acquire("2-1", usb.sysfs), pytest.raises(StickBusy):
        StickLock.acquire("2-1", usb.sysfs)


@pytest.mark.parametrize("port", ["2-7", "", "../../..", "usb2", "2-1/../2-2"])
def test_what_is_no_port_is_absent(usb: FakeUsb, port: str) -> None:
    usb.plug("2-1")
    with pytest.raises(StickAbsent, match="port"):
        StickLock.acquire(port, usb.sysfs)


def test_this_process_may_not_take_it_twice_and_may_release_twice(usb: FakeUsb) -> None:
    usb.plug("2-1")
    lock = StickLock.acquire("2-1", usb.sysfs)
    with pytest.raises(StickBusy) as caught:
        StickLock.acquire("2-1", usb.sysfs)
    assert caught.value.pid == os.getpid()
    lock.release()
    other = StickLock.acquire("2-1", usb.sysfs)
    lock.release()
    with pytest.raises(StickBusy):
        StickLock.acquire("2-1", usb.sysfs)
    other.release()


def test_a_child_program_does_not_inherit_the_lock(usb: FakeUsb) -> None:
    usb.plug("2-1")
    lock = StickLock.acquire("2-1", usb.sysfs)
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE, close_fds=False) as child:
        lock.release()
        StickLock.acquire("2-1", usb.sysfs).release()
        child.communicate(b"")


def test_only_one_process_opens_a_stick_at_a_time(usb: FakeUsb, holders: Holders) -> None:
    usb.plug("2-1")
    holder = holders.start("turn")
    began_s = time.monotonic()
    with pytest.raises(StickBusy, match=r"has been opening its stick for 0\.1 s"), opening_turn(0.1, usb.sysfs):
        pass
    assert 0.1 <= time.monotonic() - began_s < 5
    end = threading.Timer(0.1, holder.communicate, [""])
    end.start()
    with opening_turn(20, usb.sysfs):
        end.join()
    with opening_turn(0, usb.sysfs):
        pass


def test_a_machine_without_usb_says_so(usb: FakeUsb) -> None:
    shutil.rmtree(usb.sysfs, ignore_errors=True)
    with pytest.raises(StickAbsent, match="has no USB"), opening_turn(1, usb.sysfs):
        pass
