"""A worker that does what its name says, for the tests of the supervisor: a real process on a real channel."""

import os
import signal
import sys
import time

from visiond import lifeline
from visiond.channel import ChannelClosed
from visiond.messages import CameraReport, Fault, from_json, to_json

channel = lifeline.attach()
behaviour = sys.argv[1].rsplit(" ", 1)[-1]
first = from_json(channel.receive()[0])
channel.send(to_json(CameraReport("streaming", reason=getattr(first, "source", None))))
if behaviour == "aborts":
    words = os.environ.get("SCRIPTED_WORKER_WORDS", "F usb_driver.cc:857] transfer on tag 2 failed: secret")
    print(words, file=sys.stderr, flush=True)
    os.abort()
elif behaviour == "exits":
    sys.exit(3)
elif behaviour == "faults":
    channel.send(to_json(Fault("the model is not a model; give another file", permanent=True)))
    sys.exit(0)
elif behaviour == "lies":
    channel.send({"message": "Nonsense"})
elif behaviour == "hangs":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    while True:
        time.sleep(60)
elif behaviour == "lingers":
    try:
        channel.receive()
    except ChannelClosed:
        time.sleep(60)
try:
    while True:
        channel.receive()
except ChannelClosed:
    sys.exit(0)
