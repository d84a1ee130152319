"""What the states of `status.edgetpus` mean, and what to do about each; docs/hardware.md has the same table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from visiond.doctor.report import State, split

RECOMPILE: Final = "run edgetpu_compiler anew on the model that files.cpu is, as files.edgetpu; then try another stick"


@dataclass(frozen=True, slots=True)
class StickState:
    """`remedy` is None where there is nothing to do."""

    severity: State
    meaning: str
    remedy: str | None


STICK_STATES: Final = {
    "in_use": StickState("ok", "its models run on it", None),
    "ready": StickState("ok", "it has its firmware", None),
    "bootloader": StickState("ok", "it waits for its firmware, which the first opening loads", None),
    "opening": StickState("ok", "it is being opened, which takes 2 to 4 s", None),
    "resetting": StickState("warn", "it is being reset through USB", "wait 15 s and ask again"),
    "absent": StickState(
        "fail",
        "no stick is plugged in there",
        "plug the stick into a blue USB 3 port; if `lsusb -d 1a6e:` and `lsusb -d 18d1:` stay empty, try another cable",
    ),
    "no_permission": StickState(
        "fail", "this user may not open it", "install the udev rules of docs/hardware.md, then restart visiond"
    ),
    "busy": StickState("fail", "another program has it", "stop that program: one program can use a stick"),
    "no_library": StickState(
        "fail", "libedgetpu is missing or damaged", "sudo apt install --reinstall libedgetpu1-std"
    ),
    "unusable": StickState(
        "fail",
        "library and runtime crash together",
        "install a pair that fits, see docs/hardware.md; it is tried again by itself",
    ),
    "failed": StickState(
        "fail",
        "it opens, or its model does, only with an error; it is tried again",
        "read `journalctl -u visiond -n 50`, then unplug the stick and plug it in again",
    ),
    "needs_replug": StickState(
        "fail", "it does not open any more", "unplug the stick, wait 5 s, and plug it in, without a hub if possible"
    ),
    "stuck": StickState(
        "fail",
        "a process that cannot be killed holds it",
        "unplug the stick; if the process stays, reboot (sudo reboot)",
    ),
}


def stick_reason(state: str, reason: str, remedy: str) -> tuple[str, str]:
    """Take a stick's reason apart into cause and remedy; `remedy` where it names none.

    Of a missing permission and of the library the remedy is a command, and stands behind the first colon. What a golden
    example has missed is the model's matter: no unplugging helps.
    """
    if is_golden(reason):
        return reason, RECOMPILE
    if state in ("no_permission", "no_library"):
        cause, found, command = reason.partition(": ")
        return (cause, command) if found else (reason, remedy)
    return split(reason, remedy)


def is_golden(reason: str) -> bool:
    """Whether a reason of `status` tells of golden examples that a stick does not reproduce."""
    return "golden example" in reason or "its trial has failed" in reason
