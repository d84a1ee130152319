"""A bare invoke() loop in a process of its own: `python -m bench.bare_loop MODEL THREADS SECONDS`.

Prints invokes per second.
"""

import sys
import time

from ai_edge_litert.interpreter import Interpreter

model, threads, seconds = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
interpreter = Interpreter(model_path=model, num_threads=threads)
interpreter.allocate_tensors()
for _ in range(5):
    interpreter.invoke()
began = time.perf_counter()
count = 0
while time.perf_counter() - began < seconds:
    interpreter.invoke()
    count += 1
print(count / (time.perf_counter() - began))
