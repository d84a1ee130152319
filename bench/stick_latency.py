"""From a frame's capture to its result on the simulated Edge TPU, one camera at 30 fps."""

from __future__ import annotations

from bench.report import Figure, percentile
from bench.stick import INVOKE_MS, Setting, daemon

FRAMES = 900
SIZE = (640, 480)


def measure(where: Setting) -> list[Figure]:
    published_ms, received_ms = [], []
    with daemon(where, 1, SIZE, 30, accelerator="required") as running, running.client() as client:
        client.detections(60)
        for _ in range(FRAMES):
            message = client.detections(1)[0]
            published_ms.append(message["age_ms"])
            received_ms.append((client.received_ns - message["captured_ns"]) / 1e6)
    detail = (
        f"published p50 {percentile(published_ms, 50):.2f}, p99 {percentile(published_ms, 99):.2f} ms; {INVOKE_MS} ms "
        f"per invoke, {FRAMES} frames of {SIZE[0]}×{SIZE[1]} at 30 fps"
    )
    return [
        Figure("edgetpu: captured to received by a client, p50", percentile(received_ms, 50), "ms", "≤ 8.5", detail),
        Figure("edgetpu: captured to received by a client, p99", percentile(received_ms, 99), "ms", "≤ 11", detail),
    ]
