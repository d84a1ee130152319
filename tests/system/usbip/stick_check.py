"""Coral sticks on a real kernel: found, locked, refused and reset. Run by tests/system/usbip/run, as root."""

from __future__ import annotations

import os
import pwd
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from visiond.edgetpu.stick_lock import StickBusy, StickLock
from visiond.edgetpu.sticks import Stick, find_sticks

HERE = Path(__file__).parent
USER = "pi"  # in neither plugdev nor root; may use sudo, as on a Raspberry Pi
PATIENCE_S = 60.0  # a software-emulated processor is slow
T = TypeVar("T")


def step(name: str) -> None:
    print(f"== {name}", flush=True)


def say(*words: object) -> None:
    print("  ", *words, flush=True)


def until(look: Callable[[], T]) -> T:
    """Wait for what the kernel and udev do in their own time."""
    give_up_s = time.monotonic() + PATIENCE_S
    while not (found := look()):
        assert time.monotonic() < give_up_s, f"not within {PATIENCE_S} s; sticks: {find_sticks()}"
        time.sleep(0.05)
    return found


def the_stick(*states: str) -> Stick:
    """Wait for the one stick, in one of these states where any are given."""

    def look() -> Stick | None:
        sticks = find_sticks()
        return sticks[0] if len(sticks) == 1 and (not states or sticks[0].state in states) else None

    stick = until(look)
    assert stick is not None
    return stick


def as_user(*command: str) -> subprocess.CompletedProcess[str]:
    """Run a command as a new login of the user would: in all of the groups that the system's files name now."""
    account = pwd.getpwnam(USER)
    groups = os.getgrouplist(USER, account.pw_gid)
    return subprocess.run(
        command, user=USER, group=account.pw_gid, extra_groups=groups, capture_output=True, text=True, check=False
    )


def seen_by_user() -> tuple[str, str]:
    script = "from visiond.edgetpu.sticks import find_sticks as f; (s,) = f(); print(s.state, s.reason, sep='\\n')"
    done = as_user(sys.executable, "-c", script)
    assert done.returncode == 0, done.stderr
    state, reason = done.stdout.splitlines()
    return state, reason


def obey(text: str) -> None:
    """Run the commands of a remedy as they are written, in the user's shell."""
    commands = re.search(r": run (printf .*? && sudo udevadm trigger[^;]*)(?:; then (sudo usermod [^,]*),|$)", text)
    assert commands, text
    for command in filter(None, commands.groups()):
        say("$", command)
        done = as_user("sh", "-c", command)
        assert done.returncode == 0, done.stderr
    subprocess.run(["udevadm", "settle"], check=True)


class Server:
    """The simulated stick and its cable."""

    def __init__(self, port: int) -> None:
        command = [sys.executable, str(HERE / "stick_server.py"), str(port)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._answered()

    def tell(self, command: str) -> None:
        assert self._process.stdin is not None
        print(command, file=self._process.stdin, flush=True)
        self._answered()

    def end(self) -> None:
        self._process.communicate("")

    def _answered(self) -> None:
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "done\n"


@contextmanager
def owner(port: str, stage: str, *how: str, user: bool = False) -> Iterator[subprocess.Popen[str]]:
    """A process that has the stick, see stick_owner.py."""
    account = pwd.getpwnam(USER)
    identity = {"user": USER, "group": account.pw_gid, "extra_groups": os.getgrouplist(USER, account.pw_gid)}
    process = subprocess.Popen(
        [sys.executable, str(HERE / "stick_owner.py"), port, stage, *how],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        **(identity if user else {}),  # type: ignore[call-overload]
    )
    try:
        assert process.stdout is not None
        for line in process.stdout:
            if line.strip() == stage:
                break
        assert process.poll() is None, f"the owner has ended with {process.returncode}"
        yield process
    finally:
        process.kill()
        process.communicate()


def refusal(port: str) -> StickBusy:
    try:
        StickLock.acquire(port).release()
    except StickBusy as error:
        return error
    raise AssertionError(f"the lock of {port} was free")


def reset(port: str, how: str, *, user: bool = False) -> tuple[int, str]:
    command = [sys.executable, "-m", "visiond.edgetpu.usb_reset", port, "--how", how]
    began_s = time.monotonic()
    done = as_user(*command) if user else subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stderr == "", done.stderr
    say(f"exit {done.returncode} after {time.monotonic() - began_s:.2f} s: {done.stdout.strip()}")
    return done.returncode, done.stdout


def found() -> None:
    step("a new stick is found, as the bootloader that it is")
    stick = the_stick("bootloader")
    say(stick)
    assert (stick.usb_id, stick.speed_mbps, stick.serial, stick.remark) == ("1a6e:089a", 5000.0, None, None)
    assert stick.node.is_char_device()


def locked(port: str) -> None:
    step("its port in sysfs is locked by an ordinary user, and freed by the kernel")
    with owner(port, "locked", user=True) as holder:
        error = refusal(port)
        say(error)
        assert error.pid == holder.pid
        holder.kill()
        holder.wait()
        StickLock.acquire(port).release()
        say("free after kill -9")


def kept_while_it_starts(port: str) -> None:
    step("fault 17: the firmware is loaded, and the lock holds from 1a6e:089a to 18d1:9302")
    before, folder = the_stick("bootloader"), Path(f"/sys/bus/usb/devices/{port}")
    old, lock_folder = folder.stat().st_ino, (folder / "port").resolve()
    with owner(port, "claimed") as holder:
        assert refusal(port).pid == holder.pid
    with owner(port, "started") as holder:
        after = the_stick("busy")
        say(f"{before.usb_id} {before.node} -> {after.usb_id} {after.node}, serial {after.serial}")
        say(after.reason)
        assert f"process {holder.pid} (" in str(after.reason)
        assert (after.usb_id, after.serial, after.port) == ("18d1:9302", "SIM0001", port)
        assert after.node != before.node
        assert find_sticks(ours=(holder.pid,))[0].state == "ready"
        assert folder.stat().st_ino != old, "the device's own folder is another one: a lock on it would be lost"
        say(f"the device's folder was {old}, is {folder.stat().st_ino}; locked was {lock_folder.name}")
        assert refusal(port).pid == holder.pid


def kept_after_unplug(port: str, server: Server) -> None:
    step("unplugged and plugged in again, the lock still holds, until its holder dies")
    with owner(port, "claimed") as holder:
        server.tell("unplug")
        until(lambda: not find_sticks())
        assert refusal(port).pid == holder.pid
        server.tell("plug")
        say(the_stick("bootloader").node)
        assert refusal(port).pid == holder.pid
    StickLock.acquire(port).release()


def no_permission(port: str) -> None:
    step(f"fault 19: the user {USER} may not open it, and is told how to")
    state, reason = seen_by_user()
    say(reason)
    assert state == "no_permission"
    obey(reason)
    assert seen_by_user() == ("bootloader", "None")
    with owner(port, "started", user=True):
        say("and it starts for the user, so that the rule for 18d1:9302 holds as well:", the_stick("busy").usb_id)
    assert seen_by_user() == ("ready", "None")
    status = the_stick().node.stat()
    say(f"node {oct(status.st_mode & 0o777)}, group {status.st_gid}")


def busy(port: str) -> None:
    step("a program that does not know of the lock has it: busy, and no reset")
    with owner(port, "claimed", "rude") as holder:
        StickLock.acquire(port).release()
        reason = the_stick("busy").reason
        say(reason)
        assert f"process {holder.pid} (" in str(reason)
        state, reason = seen_by_user()
        say(f"to the user {USER}: {reason}")
        assert state == "busy"
        for how in ("reset", "authorized"):
            code, text = reset(port, how)
            assert code == 1
            assert text.startswith("not reset: ")
    assert the_stick().state == "ready"


def resets(port: str, server: Server) -> None:
    step("fault 18: the port is reset")
    before = the_stick()
    assert reset(port, "reset") == (0, f"the stick at port {port} was reset\n")
    assert the_stick().node == before.node, "a reset alone does not give it another number"
    server.tell("unplug")
    until(lambda: not find_sticks())
    server.tell("plug")
    before = the_stick("bootloader")
    server.tell("firmware")
    code, text = reset(port, "reset", user=True)
    assert (code, text) == (0, f"the stick at port {port} was reset and comes back as another device\n")
    after = the_stick("ready")
    say(f"{before.usb_id} {before.node} -> {after.usb_id} {after.node}")

    step("fault 18: it is switched off and on through authorized")
    assert reset(port, "authorized")[0] == 0
    until(lambda: Path(f"/sys/bus/usb/devices/{port}/{port}:1.0").exists())
    assert the_stick("ready").node == after.node
    code, text = reset(port, "authorized", user=True)
    assert code == 1
    obey(text.strip())
    assert reset(port, "authorized", user=True)[0] == 0
    until(lambda: Path(f"/sys/bus/usb/devices/{port}/{port}:1.0").exists())

    step("left switched off, it says so")
    Path(f"/sys/bus/usb/devices/{port}/authorized").write_text("0")
    say(the_stick("no_permission").reason)
    assert reset(port, "reset")[0] == 1
    assert reset(port, "authorized")[0] == 0
    the_stick("ready")


def a_second_one() -> None:
    step("a second stick, plugged into the port before, is counted before the first")
    second = Server(0)
    sticks = until(lambda: find_sticks() if len(find_sticks()) == 2 else ())
    for stick in sticks:
        say(stick.index, stick.port, stick.usb_id)
    assert [stick.usb_id for stick in sticks] == ["1a6e:089a", "18d1:9302"]
    with StickLock.acquire(sticks[0].port), StickLock.acquire(sticks[1].port):
        say("each has its own lock")
    second.end()
    the_stick("ready")


def slow(server: Server) -> None:
    step("at a USB 2 port it is remarked")
    server.tell("unplug")
    until(lambda: not find_sticks())
    server.tell("slow")
    server.tell("plug")
    stick = the_stick("bootloader")
    say(stick.remark)
    assert stick.speed_mbps == 480.0
    assert stick.remark


def main() -> None:
    """Every step, on one stick at the second port of the virtual hub."""
    assert find_sticks() == (), "a machine without a stick has none"
    server = Server(1)
    found()
    port = the_stick().port
    locked(port)
    kept_while_it_starts(port)
    kept_after_unplug(port, server)
    no_permission(port)
    busy(port)
    resets(port, server)
    a_second_one()
    slow(server)
    server.end()
    until(lambda: not find_sticks())
    print("all steps passed", flush=True)


if __name__ == "__main__":
    main()
