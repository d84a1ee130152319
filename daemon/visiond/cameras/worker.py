"""The camera worker: a process of its own, because a blocked read can only be killed and a driver may crash.

The way of a frame: source.py opens the camera → capture.py grabs and decides → outlet.py puts it into the FrameRing.
"""

from __future__ import annotations

import os
import threading
from contextlib import suppress

from visiond import lifeline
from visiond.cameras.environment import ENVIRONMENT
from visiond.channel import Channel, ChannelClosed
from visiond.messages import Fault, OpenCamera, from_json, to_json


def main() -> None:
    """Serve the camera that the first message names, until the parent closes the channel."""
    channel = lifeline.attach()
    with suppress(ChannelClosed):
        order = from_json(channel.receive()[0])
        if not isinstance(order, OpenCamera):
            raise TypeError(f"the first message must be OpenCamera, not {type(order).__name__}")
        threading.Thread(target=_end_with_parent, args=(channel,), daemon=True).start()
        os.environ.update(ENVIRONMENT)
        try:
            import cv2

            from visiond.cameras.capture import Capture
        except ImportError as error:
            channel.send(to_json(Fault(f"OpenCV cannot be loaded ({error}); install opencv-python-headless", True)))
            return
        cv2.setNumThreads(1)
        Capture(order, channel).run()


def _end_with_parent(channel: Channel) -> None:
    """End the process when the parent closes its end, even if a read of the camera blocks for ever."""
    with suppress(ChannelClosed):
        while True:
            channel.receive()  # nothing else is said to a camera
    os._exit(0)


if __name__ == "__main__":
    main()
