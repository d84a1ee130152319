"""A robot that stops for what it is told. Run: .venv/bin/python examples/robot.py SOCKET LABEL"""

import os
import sys

from visiond.client import Refused, stay_connected

if len(sys.argv) != 3:
    sys.exit("usage: robot.py SOCKET LABEL, such as /tmp/v.sock ring")
path, label = sys.argv[1:]
try:
    for message in stay_connected(path, labels=[label], min_score=0.6, max_hz=10):
        if message["type"] == "detections" and message["age_ms"] < 500:
            seen = [*message.get("objects", []), *message.get("segments", [])]
            print(message["camera"], "stop" if seen else "go", [found["box"] for found in seen], flush=True)
        elif message["type"] == "status" and message["state"] == "blind":
            print("stop: nothing can be seen:", message["reason"], flush=True)
        elif message["type"] == "away":
            print("stop:", message["reason"], flush=True)
except Refused as refusal:
    sys.exit(str(refusal))
except KeyboardInterrupt:
    pass
except BrokenPipeError:  # whoever read our lines has gone, as `head` does
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for what Python still writes when it ends
