"""What one writes first: read, cvtColor, resize, set_tensor, invoke, get_tensor, in turn, in one process.

`python -m bench.plain_loop LIBRARY MODEL WIDTH HEIGHT SECONDS` prints results per second, then invokes per second of a
loop that does nothing else: the device's own rate.
"""

import sys
import time

import cv2
import numpy as np
from ai_edge_litert.interpreter import Interpreter, load_delegate

library, model, width, height, seconds = (
    sys.argv[1],
    sys.argv[2],
    int(sys.argv[3]),
    int(sys.argv[4]),
    float(sys.argv[5]),
)
cv2.setNumThreads(1)
delegate = load_delegate(library, {"device": "usb:0"})
interpreter = Interpreter(model_path=model, num_threads=1, experimental_delegates=[delegate])
interpreter.allocate_tensors()
input_index = interpreter.get_input_details()[0]["index"]
output_indices = [details["index"] for details in interpreter.get_output_details()]
camera = np.random.default_rng(1).integers(0, 256, (height, width, 3), np.uint8)
frame = np.empty_like(camera)


def per_second(step) -> float:
    for _ in range(5):
        step()
    began, count = time.perf_counter(), 0
    while time.perf_counter() - began < seconds:
        step()
        count += 1
    return count / (time.perf_counter() - began)


def plain() -> None:
    np.copyto(frame, camera)  # read: a decoded frame is handed over
    picture = cv2.resize(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB), (300, 300))
    interpreter.set_tensor(input_index, picture[None])
    interpreter.invoke()
    for index in output_indices:
        interpreter.get_tensor(index)


print(per_second(plain), per_second(interpreter.invoke))
