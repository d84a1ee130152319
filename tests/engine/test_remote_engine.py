"""RemoteEngine: how long a worker may take to start, with the real one, which takes longer than the test allows."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

import pytest

from visiond.engine import remote
from visiond.engine.remote import RemoteEngine
from visiond.messages import StartEngine
from visiond.supervisor import Exit


@pytest.mark.parametrize(
    ("kind", "deadlines_s"), [("cpu", ["0.01", "0.02", "0.04", "0.04"]), ("edgetpu", ["0.01", "0.01"])]
)
def test_on_a_slow_board_each_start_may_take_longer_and_a_stick_gets_no_more_time(
    kind: str, deadlines_s: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote, "START_DEADLINE_S", 0.01)
    monkeypatch.setattr(remote, "MOST_START_DEADLINE_S", 0.04)
    reasons: list[str] = []

    async def scenario() -> None:
        enough = asyncio.Event()

        def ended(_: RemoteEngine, exit_: Exit, was_ready: bool) -> None:
            assert not was_ready
            reasons.append(exit_.reason)
            if len(reasons) == len(deadlines_s):
                enough.set()

        def nothing(*_: Any) -> None:
            pass

        engine = RemoteEngine("objects", kind, 0, {}, lambda: StartEngine(()), nothing, ended, nothing, 0.05)
        running = asyncio.create_task(engine.worker.run())
        await asyncio.wait_for(enough.wait(), 60)
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running

    asyncio.run(scenario())
    assert reasons == [f"killed: it did not start within {seconds} s" for seconds in deadlines_s]
