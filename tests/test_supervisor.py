"""Worker: whatever the child does, the parent learns why, and tries again."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from visiond.messages import CameraReport, Message, OpenCamera
from visiond.supervisor import Exit, Worker


class Watched:
    """A worker with what it said, and how it ended, in queues."""

    def __init__(self, behaviour: str, redact: Callable[[str], str] = str) -> None:
        self.messages: asyncio.Queue[Message] = asyncio.Queue()
        self.exits: asyncio.Queue[Exit] = asyncio.Queue()
        self.worker = Worker(
            f"camera {behaviour}",
            "scripted_worker",
            lambda: OpenCamera("x", "synthetic:shapes", None, None, 0),
            lambda message, _: self.messages.put_nowait(message),
            self.exits.put_nowait,
            redact,
        )
        self.task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> "Watched":
        self.task = asyncio.create_task(self.worker.run())
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self.task is not None
        self.task.cancel()
        with suppress(asyncio.CancelledError):
            await self.task

    async def message(self) -> Message:
        return await asyncio.wait_for(self.messages.get(), 20)

    async def exit(self) -> Exit:
        return await asyncio.wait_for(self.exits.get(), 20)


@pytest.fixture(autouse=True)
def scripted_worker_is_importable(monkeypatch: pytest.MonkeyPatch, root: Path) -> None:
    monkeypatch.setenv("PYTHONPATH", str(root / "tests" / "workers"))


def test_the_worker_gets_its_first_message_and_answers() -> None:
    async def scenario() -> None:
        async with Watched("serves") as watched:
            assert await watched.message() == CameraReport("streaming", reason="synthetic:shapes")

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("behaviour", "reason", "permanent"),
    [
        ("aborts", "died of SIGABRT, its last words: F usb_driver.cc:857] transfer on tag 2 failed: ***", False),
        ("exits", "ended with status 3", False),
        ("faults", "the model is not a model; give another file", True),
        ("lies", "it sent what is no message (no such message", False),
    ],
)
def test_every_kind_of_end_is_told_with_its_cause(behaviour: str, reason: str, permanent: bool) -> None:
    async def scenario() -> Exit:
        async with Watched(behaviour, lambda line: line.replace("secret", "***")) as watched:
            return await watched.exit()

    ended = asyncio.run(scenario())
    assert reason in ended.reason
    assert ended.permanent is permanent
    assert ended.retry_in_s == (30 if permanent else 0.5)


def test_a_worker_that_died_is_started_again() -> None:
    async def scenario() -> int:
        async with Watched("exits") as watched:
            await watched.exit()
            second = await watched.exit()
            assert second.retry_in_s == 1.0  # the back-off grows
            return watched.worker.restarts

    assert asyncio.run(scenario()) == 1


def test_a_worker_past_its_deadline_is_killed_for_that_reason() -> None:
    async def scenario() -> Exit:
        async with Watched("hangs") as watched:
            await watched.message()
            watched.worker.expect_within(0.05, "no frame for 0.05 s")
            return await watched.exit()

    assert asyncio.run(scenario()).reason == "killed: no frame for 0.05 s"


@pytest.mark.parametrize("behaviour", ["serves", "hangs"])
def test_stopping_ends_the_child_and_closes_what_it_had(behaviour: str) -> None:
    async def scenario() -> tuple[int, int]:
        before = len(list(Path("/proc/self/fd").iterdir()))
        async with Watched(behaviour) as watched:
            await watched.message()
            pid = watched.worker.pid
            assert pid is not None
        assert not Path(f"/proc/{pid}").exists()
        return before, len(list(Path("/proc/self/fd").iterdir()))

    before, after = asyncio.run(scenario())
    assert after == before


def test_a_worker_that_cannot_be_started_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.executable", "/nonexistent/python")

    async def scenario() -> Exit:
        async with Watched("serves") as watched:
            return await watched.exit()

    assert asyncio.run(scenario()).reason == "cannot start the process: No such file or directory"
