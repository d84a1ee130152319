import grp
import os
import pwd
import resource
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from edgetpu.fake_usb import BOOTLOADER, READY, FakeUsb
from visiond.edgetpu import permission
from visiond.edgetpu.sticks import Stick, find_sticks, matches, parse_device, select


@pytest.fixture
def usb(tmp_path: Path) -> FakeUsb:
    return FakeUsb(tmp_path)


def look(usb: FakeUsb, ours: tuple[int, ...] = ()) -> tuple[Stick, ...]:
    return find_sticks(usb.sysfs, usb.dev, usb.proc, ours)


def test_a_stick_is_found_with_all_that_sysfs_tells(usb: FakeUsb) -> None:
    usb.plug("2-1", serial="K123", product="Coral")
    (stick,) = look(usb)
    assert stick == Stick(
        "2-1", 0, "ready", None, 5000.0, "K123", usb.dev / "bus/usb/002/002", "18d1:9302", "Coral", None
    )


def test_a_machine_without_usb_has_no_sticks(tmp_path: Path) -> None:
    assert find_sticks(tmp_path, tmp_path, tmp_path) == ()


def test_fault_39_without_descriptors_no_stick_has_gone(usb: FakeUsb) -> None:
    usb.plug("2-1")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    lowest_free = os.dup(0)
    os.close(lowest_free)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest_free, hard))
    try:
        with pytest.raises(OSError, match="Too many open files"):
            look(usb)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert len(look(usb)) == 1


def test_vendor_and_product_must_both_be_the_sticks(usb: FakeUsb) -> None:
    for port, ids in {"1-1": ("18d1", "4ee7"), "1-2": ("1a6e", "9302"), "1-3": ("18d1", "089a"), "usb1": READY}.items():
        usb.devices.mkdir(parents=True, exist_ok=True)
        folder = usb.devices / port
        folder.mkdir()
        for name, text in (("idVendor", ids[0]), ("idProduct", ids[1]), ("busnum", "1"), ("devnum", "1")):
            (folder / name).write_text(text)
    assert look(usb) == ()


def test_sticks_are_counted_in_order_of_their_ports(usb: FakeUsb) -> None:
    for port, ids in (("2-10", READY), ("2-9", BOOTLOADER), ("2-1.4", READY), ("10-1", READY)):
        usb.plug(port, ids)
    found = look(usb)
    assert [(stick.index, stick.port) for stick in found] == [(0, "2-1.4"), (1, "2-9"), (2, "2-10"), (3, "10-1")]
    assert [stick.state for stick in found] == ["ready", "bootloader", "ready", "ready"]


@pytest.mark.parametrize(("name", "port"), [("usb", "2-1"), ("usb:0", "2-1"), ("usb:1", "2-2"), ("usb:2-2", "2-2")])
def test_a_configured_device_means_one_stick(usb: FakeUsb, name: str, port: str) -> None:
    usb.plug("2-2")
    usb.plug("2-1")
    chosen = select(look(usb), parse_device(name))
    assert chosen is not None
    assert chosen.port == port
    assert [matches(stick, parse_device(name)) for stick in look(usb)] == [port == "2-1", port == "2-2"]


@pytest.mark.parametrize("name", ["usb:2", "usb:2-3"])
def test_a_device_that_is_not_plugged_in_means_none(usb: FakeUsb, name: str) -> None:
    usb.plug("2-1")
    usb.plug("2-2")
    assert select(look(usb), parse_device(name)) is None


def test_fault_17_both_ids_are_one_stick_at_one_port(usb: FakeUsb) -> None:
    """1a6e:089a before the first open, 18d1:9302 and another node after it; the name in the configuration holds."""
    usb.plug("2-1.4", BOOTLOADER)
    (before,) = look(usb)
    usb.reenumerate("2-1.4")
    (after,) = look(usb)
    assert (before.state, before.usb_id, after.state, after.usb_id) == ("bootloader", "1a6e:089a", "ready", "18d1:9302")
    assert before.node != after.node
    assert matches(before, parse_device("usb:2-1.4"))
    assert matches(after, parse_device("usb:2-1.4"))


def test_fault_17_while_it_reenumerates_it_is_absent_or_whole(usb: FakeUsb) -> None:
    """Whatever is read in the middle of it: never an exception, never one device's id with another's node."""
    usb.plug("2-1", BOOTLOADER)
    stop = threading.Event()

    def flip() -> None:
        while not stop.is_set():
            usb.reenumerate("2-1", READY if usb.devnum["2-1"] % 2 == 0 else BOOTLOADER)

    thread = threading.Thread(target=flip)
    thread.start()
    seen: list[Stick] = []
    try:
        while len(seen) < 10:
            seen += look(usb)
    finally:
        stop.set()
        thread.join()
    for stick in seen:  # even numbers were given to the bootloader
        assert (int(stick.node.name) % 2 == 0) == (stick.usb_id == "1a6e:089a"), stick


@pytest.mark.parametrize(
    ("text", "speed_mbps", "remarked"), [("480", 480, True), ("12", 12, True), ("10000", 1e4, False)]
)
def test_a_slow_connection_is_remarked_and_no_error(usb: FakeUsb, text: str, speed_mbps: float, remarked: bool) -> None:
    usb.plug("2-1", speed=text)
    (stick,) = look(usb)
    assert (stick.state, stick.speed_mbps, stick.remark is not None) == ("ready", speed_mbps, remarked)
    if stick.remark:
        assert f"{text} Mbit/s instead of 5000" in stick.remark
        assert "USB 3 port" in stick.remark


def test_what_cannot_be_read_is_none(usb: FakeUsb) -> None:
    folder = usb.plug("2-1", speed="unknown")
    (folder / "authorized").unlink()
    (stick,) = look(usb)
    assert (stick.speed_mbps, stick.serial, stick.product, stick.remark) == (None, None, None, None)
    (folder / "devnum").write_text("x\n")
    assert look(usb) == ()


def test_busy_names_who_has_it(usb: FakeUsb) -> None:
    usb.plug("2-1")
    usb.claim("2-1", 812, "frigate")
    (stick,) = look(usb)
    assert stick.state == "busy"
    assert stick.reason == (
        "the stick at port 2-1 is used by process 812 (frigate); `ps -fp 812` shows what it is: "
        "stop it, one program can use a stick"
    )


def test_our_own_worker_does_not_make_it_busy(usb: FakeUsb) -> None:
    usb.plug("2-1")
    usb.claim("2-1", 812)
    (stick,) = look(usb, ours=(812,))
    assert (stick.state, stick.reason) == ("ready", None)


def test_of_several_that_have_it_open_ours_is_the_owner(usb: FakeUsb) -> None:
    usb.plug("2-1")
    usb.claim("2-1", 900)
    other = usb.proc / "12" / "fd"
    other.mkdir(parents=True)
    (other / "3").symlink_to(usb.node("2-1"))
    assert look(usb, ours=(900,))[0].state == "ready"
    assert "process 12;" in str(look(usb)[0].reason)


def test_a_claim_of_somebody_who_cannot_be_seen_is_busy_too(usb: FakeUsb) -> None:
    usb.plug("2-1")
    usb.claim("2-1", None)
    (stick,) = look(usb)
    assert stick.state == "busy"
    assert f"cannot see; `sudo fuser -v {stick.node}` names it" in str(stick.reason)


def test_a_node_that_is_merely_open_does_not_make_it_busy(usb: FakeUsb) -> None:
    """As `lsusb` does for a moment; and another driver than usbfs at the interface is no program's."""
    usb.plug("2-1")
    fds = usb.proc / "812" / "fd"
    fds.mkdir(parents=True)
    (fds / "3").symlink_to(usb.node("2-1"))
    assert look(usb)[0].state == "ready"
    (usb.devices / "2-1" / "2-1:1.0" / "driver").symlink_to(usb.sysfs / "bus/usb/drivers/cdc_acm")
    assert look(usb)[0].state == "ready"


def test_a_stick_that_was_left_switched_off_says_how_to_switch_it_on(usb: FakeUsb) -> None:
    usb.plug("2-1", authorized="0")
    (stick,) = look(usb)
    assert stick.state == "no_permission"
    assert f"run echo 1 | sudo tee {usb.devices}/2-1/authorized" in str(stick.reason)


LOOK_AS_NOBODY = """
import os, sys
from pathlib import Path
from visiond.edgetpu.sticks import find_sticks
if os.getuid() == 0:
    os.setgroups([int(gid) for gid in sys.argv[2:]])
    os.setresgid(65534, 65534, 65534)
    os.setresuid(65534, 65534, 65534)
root = Path(sys.argv[1])
(stick,) = find_sticks(root / "sys", root / "dev", root / "proc")
print(stick.state, stick.reason, sep="\\n")
"""


def look_as_nobody(usb: FakeUsb, root: Path, *gids: int) -> list[str]:
    """State and reason of the one stick, as seen by a user who is not root and in these groups only."""
    done = subprocess.run(
        [sys.executable, "-c", LOOK_AS_NOBODY, str(usb.root), *map(str, gids)],
        env={"PYTHONPATH": str(root / "daemon")},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.splitlines()


@pytest.fixture
def open_usb() -> Iterator[FakeUsb]:
    """A tree that other users can walk through; pytest's own folders are closed to them."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        usb = FakeUsb(Path(folder))
        usb.plug("2-1")
        yield usb


def test_fault_19_no_permission_comes_with_the_rules_to_install(open_usb: FakeUsb, root: Path) -> None:
    node = open_usb.node("2-1")
    node.chmod(0o600 if os.getuid() == 0 else 0)
    state, reason = look_as_nobody(open_usb, root)
    assert state == "no_permission"
    assert reason.startswith(f"no permission for {node}: run printf '%s\\n' '")
    assert 'SUBSYSTEM=="usb", ATTRS{idVendor}=="1a6e", ATTRS{idProduct}=="089a", MODE="0664", GROUP="plugdev"' in reason
    assert 'SUBSYSTEM=="usb", ATTRS{idVendor}=="18d1", ATTRS{idProduct}=="9302", MODE="0664", GROUP="plugdev"' in reason
    assert "/etc/udev/rules.d/99-edgetpu" in reason
    assert "sudo udevadm control --reload && sudo udevadm trigger" in reason
    assert "-aG plugdev" in reason
    node.chmod(0o666)
    assert look_as_nobody(open_usb, root) == ["ready", "None"]


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a file to another group")
def test_fault_19_where_the_rules_are_there_only_the_group_is_missing(open_usb: FakeUsb, root: Path) -> None:
    node, group = open_usb.node("2-1"), grp.getgrnam("games")
    os.chown(node, 0, group.gr_gid)
    node.chmod(0o664)
    state, reason = look_as_nobody(open_usb, root)
    assert state == "no_permission"
    assert reason == (
        f"no permission for {node}: sudo usermod -aG games nobody, then restart this program "
        "(in a terminal: log in again)"
    )
    assert look_as_nobody(open_usb, root, group.gr_gid) == ["ready", "None"]


def test_fault_19_a_group_that_was_joined_meanwhile_needs_a_restart(monkeypatch: pytest.MonkeyPatch) -> None:
    user = pwd.getpwuid(os.geteuid()).pw_name
    plugdev = grp.struct_group(("plugdev", "x", 46, [user]))
    monkeypatch.setattr(grp, "getgrnam", lambda _: plugdev)
    monkeypatch.setattr(os, "access", lambda *_: False)
    text = permission.permission_problem(Path("/dev/null"))
    assert text is not None
    assert text.endswith(
        f"user {user} has joined the group plugdev since this program started: restart it, or log in again"
    )


def test_fault_19_a_system_without_the_group_is_told_to_make_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> grp.struct_group:
        raise KeyError(name)

    monkeypatch.setattr(grp, "getgrnam", missing)
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert "sudo groupadd --system plugdev && sudo usermod" in str(permission.permission_problem(Path("/dev/null")))


def test_fault_19_a_node_that_the_sandbox_hides(usb: FakeUsb) -> None:
    usb.plug("2-1")
    usb.node("2-1").unlink()
    (stick,) = look(usb)
    assert stick.state == "no_permission"
    assert f"{stick.node} is not there although the kernel has the stick" in str(stick.reason)
    assert "/dev/bus/usb" in str(stick.reason)
