import os
from pathlib import Path

import pytest

from visiond.cameras.device_names import busy_text, numbered_remark, stable_names, who_uses


@pytest.fixture
def dev(tmp_path: Path) -> Path:
    """video0 with both names, video2 with that of its plug, video4 without any."""
    for node in ("video0", "video2", "video4"):
        (tmp_path / node).touch()
    for name, node in (("by-path/pci-0", "video0"), ("by-id/usb-Good", "video0"), ("by-path/pci-1", "video2")):
        link = tmp_path / "v4l" / name
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(f"../../{node}")
    return tmp_path


def test_the_best_name_comes_first(dev: Path) -> None:
    names = stable_names(dev / "video0", dev / "v4l")
    assert names == [f"{dev}/v4l/by-id/usb-Good", f"{dev}/v4l/by-path/pci-0"]
    assert stable_names(dev / "video4", dev / "v4l") == []
    assert stable_names(dev / "video0", dev / "nothing") == []


@pytest.mark.parametrize(
    ("name", "better"),
    [
        ("video0", "v4l/by-id/usb-Good"),
        ("video2", "v4l/by-path/pci-1"),
        ("video4", None),  # there is nothing better to give
        ("v4l/by-id/usb-Good", None),
        ("v4l/by-path/pci-1", None),
    ],
)
def test_fault_10_a_number_in_the_configuration_is_remarked_on(dev: Path, name: str, better: str | None) -> None:
    remark = numbered_remark(dev / name, dev / "v4l")
    expected = f"{dev / name} may be another camera after a boot or a re-plug; give v4l2:{dev}/{better}"
    assert remark == (None if better is None else expected)


def test_fault_09_who_has_a_node_open_is_named(dev: Path) -> None:
    link = dev / "v4l" / "by-id" / "usb-Good"
    assert who_uses(link) == "another program uses it"
    assert busy_text(link) == f"{link}: another program uses it; `sudo fuser -v {link}` names it"
    holder = os.open(dev / "video0", os.O_RDONLY)
    try:
        assert who_uses(link).startswith(f"process {os.getpid()} (")
        assert busy_text(link).endswith("uses it; end it, or use another camera")
    finally:
        os.close(holder)
