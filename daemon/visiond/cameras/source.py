"""Camera: what every source of frames offers. open_camera: the one place that knows which file serves which scheme."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from visiond.cameras.address import NETWORK, SourceAddress
from visiond.errors import CameraError

Pixels = NDArray[np.uint8]  # (height, width, 3), blue first, rows without padding


class Camera(Protocol):
    """One opened source. It is used by one thread; its calls raise CameraError when it stops delivering."""

    @property
    def format(self) -> str:
        """What comes from the source before it is decoded, in the source's own term: YUYV, MJPG, h264, png."""

    @property
    def has_sensor(self) -> bool:
        """Whether pictures come from a sensor in this machine, whose noise lets no two of them be equal."""

    @property
    def name_remark(self) -> str | None:
        """What had better be changed in the source that names it; None where it is well."""

    @property
    def skipped(self) -> Mapping[str, int]:
        """What never became a frame, counted by reason, since it was opened."""

    def prefetch(self, destination: Pixels | None) -> None:
        """Called before each `grab`: what is known of the next frame already may be written into `destination` now.

        Then only the moment is waited for, and the frame goes out at once; a live camera knows nothing yet.
        """

    def grab(self) -> int | None:
        """Wait for the next frame and return its `captured_ns` (CLOCK_MONOTONIC); None at the end of the source."""

    def retrieve(self, destination: Pixels | None = None) -> Pixels | None:
        """Return the grabbed frame, written into `destination`, the one that `prefetch` got, where its shape fits.

        A frame that is not retrieved costs little. None: it is broken, and counted in `skipped`.
        """

    def close(self) -> None:
        """Let go of the device, connection or file."""


def open_camera(source: str, size: tuple[int, int] | None, fps: float | None) -> Camera:
    """Open `source` (DESIGN.md, "Configuration"), importing nothing but its own kind.

    `size` (width, height) and `fps` are what is asked; None leaves them to the source, `fps` 0 means without pauses.
    Raises CameraError whose text is free of passwords and whose state is absent, busy, refused or lost.
    """
    try:
        address = SourceAddress.parse(source)
    except ValueError as error:
        raise CameraError(f"source: {error}", "refused") from error
    if address.scheme in NETWORK:
        from visiond.cameras.stream import open_stream

        return open_stream(address, size, fps or None)
    match address.scheme:
        case "v4l2":
            from visiond.cameras.v4l2 import V4L2Camera

            return V4L2Camera(address.target, size, fps or None)
        case "csi":
            from visiond.cameras.csi import CsiCamera

            return CsiCamera(int(address.target), size, fps or None)
        case "file":
            from visiond.cameras.files import open_video

            return open_video(address, size, fps)
        case "images":
            from visiond.cameras.pictures import open_pictures

            return open_pictures(address, size, fps)
        case _:
            from visiond.cameras.synthetic import SyntheticCamera

            return SyntheticCamera(address, size, fps)
