"""From captured to received by a client, less the invoke itself, at 10 fps and 640×480."""

from __future__ import annotations

from pathlib import Path

from bench.report import Figure, percentile
from bench.scene import Model, daemon

FRAMES = 400
CAMERA = {"fps": 10, "size": [640, 480]}


def measure(model: Model, pictures: Path) -> list[Figure]:
    overheads_ms, invokes_ms = [], []
    with daemon(model, f"images:{pictures}?loop=1", CAMERA) as running, running.client() as client:
        client.detections(20)
        for _ in range(FRAMES):
            message = client.detections(1)[0]
            invoke_ms = message["stages_ms"]["invoke"]
            overheads_ms.append((client.received_ns - message["captured_ns"]) / 1e6 - invoke_ms)
            invokes_ms.append(invoke_ms)
    detail = f"{FRAMES} frames of 640×480 at 10 fps, invoke p50 {percentile(invokes_ms, 50):.2f} ms, 1 thread"
    return [
        Figure(f"latency {model.name}: less the invoke, p50", percentile(overheads_ms, 50), "ms", "≤ 2", detail),
        Figure(f"latency {model.name}: less the invoke, p99", percentile(overheads_ms, 99), "ms", "≤ 6", detail),
    ]
