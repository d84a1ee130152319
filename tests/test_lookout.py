"""Lookout: what a thread has seen arrives on the loop, and a look that blocks holds up nothing."""

import asyncio
import errno
import threading

import pytest

from visiond.lookout import Lookout


def test_what_is_seen_arrives_on_the_loop_again_and_again() -> None:
    async def scenario() -> list[int]:
        seen: asyncio.Queue[int] = asyncio.Queue()
        numbers = iter(range(1000))
        lookout = Lookout("numbers", 0.001, lambda: next(numbers), seen.put_nowait)
        lookout.start()
        first = [await asyncio.wait_for(seen.get(), 10) for _ in range(3)]
        lookout.stop()
        return first

    assert asyncio.run(scenario()) == [0, 1, 2]


def test_a_look_that_fails_has_seen_nothing_and_the_next_one_is_taken(caplog: pytest.LogCaptureFixture) -> None:
    numbers = iter(range(1000))

    def look() -> int:
        number = next(numbers)
        if number < 2:
            raise OSError(errno.EMFILE, "too many open files")
        return number

    async def scenario() -> int:
        seen: asyncio.Queue[int] = asyncio.Queue()
        lookout = Lookout("sticks", 0.001, look, seen.put_nowait)
        lookout.start()
        first = await asyncio.wait_for(seen.get(), 10)
        lookout.stop()
        return first

    assert asyncio.run(scenario()) == 2
    assert [record.getMessage() for record in caplog.records] == ["cannot look at the sticks: too many open files"]


def test_a_look_that_blocks_in_the_kernel_holds_up_neither_the_loop_nor_its_end() -> None:
    stuck = threading.Event()

    async def scenario() -> None:
        lookout: Lookout[bool] = Lookout("stuck", 0.001, stuck.wait, lambda _: None)
        lookout.start()
        await asyncio.sleep(0)  # the loop goes on
        lookout.stop()

    asyncio.run(scenario())
    stuck.set()  # its thread finds the loop closed, and ends
