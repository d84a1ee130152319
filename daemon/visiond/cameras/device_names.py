"""What a V4L2 device is called, and who has it: the names of udev that stay, and the process that holds the node."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from visiond.edgetpu.holders import describe, node_holder

BY_NAME: Final = ("by-id", "by-path")  # best first: a name that follows the camera, then one that follows the plug
LINKS: Final = Path("/dev/v4l")
_NUMBERED: Final = re.compile(r"video\d+")


def stable_names(node: Path, links: Path = LINKS) -> list[str]:
    """Return the names that udev gave the device `node` in `links`, best first; none where there is no udev."""
    found = [link for kind in BY_NAME for link in sorted((links / kind).glob("*"))]
    return [str(link) for link in found if link.resolve() == node.resolve()]


def numbered_remark(path: Path, links: Path = LINKS) -> str | None:
    """Return what to say of /dev/videoN in a configuration where a better name is there: N is dealt out anew."""
    names = stable_names(path, links) if _NUMBERED.fullmatch(path.name) else []
    return f"{path} may be another camera after a boot or a re-plug; give v4l2:{names[0]}" if names else None


def who_uses(path: Path) -> str:
    """Return "process 812 (cheese) uses it", or "another program uses it" where this user cannot see which."""
    pid = node_holder(path.resolve())
    return "another program uses it" if pid is None else f"{describe(pid)} uses it"


def busy_text(path: Path) -> str:
    """Return why a device that is busy cannot be opened, and what to do."""
    who = who_uses(path)
    remedy = f"`sudo fuser -v {path}` names it" if who.startswith("another") else "end it, or use another camera"
    return f"{path}: {who}; {remedy}"
