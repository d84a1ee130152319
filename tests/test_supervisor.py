"""Worker: whatever the child does, the parent learns why, and tries again."""

import asyncio
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

import visiond.supervisor
from visiond.messages import CameraReport, Message, OpenCamera
from visiond.supervisor import MAX_BACKOFF_S, Exit, Worker


class Watched:
    """A worker with what it said, and how it ended, in queues."""

    def __init__(
        self, behaviour: str, redact: Callable[[str], str] = str, max_backoff_s: float = MAX_BACKOFF_S
    ) -> None:
        self.messages: asyncio.Queue[Message] = asyncio.Queue()
        self.exits: asyncio.Queue[Exit] = asyncio.Queue()
        self.worker = Worker(
            f"camera {behaviour}",
            "scripted_worker",
            lambda: OpenCamera("x", "synthetic:shapes", None, None, 0),
            lambda message, _: self.messages.put_nowait(message),
            self.exits.put_nowait,
            redact,
            max_backoff_s,
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


def test_a_planned_end_is_no_failure_and_has_no_back_off() -> None:
    async def scenario() -> tuple[Exit, set[int | None]]:
        async with Watched("serves") as watched:
            await watched.message()
            pids = {watched.worker.pid}
            watched.worker.end("recycled: it has grown")
            watched.worker.end("a second reason does not count")
            ended = await watched.exit()
            await watched.message()  # the next one is there at once
            return ended, pids | {watched.worker.pid}

    ended, pids = asyncio.run(scenario())
    assert ended == Exit("recycled: it has grown", planned=True)
    assert len(pids) == 2


def test_a_planned_end_that_does_not_come_is_forced_and_still_planned() -> None:
    async def scenario() -> tuple[Exit, float]:
        async with Watched("lingers") as watched:
            await watched.message()
            began_s = asyncio.get_running_loop().time()
            watched.worker.end("recycled")
            ended = await watched.exit()
            return ended, asyncio.get_running_loop().time() - began_s

    ended, took_s = asyncio.run(scenario())
    assert ended == Exit("recycled", planned=True)
    assert took_s >= visiond.supervisor.GRACE_S


def test_a_worker_that_is_held_does_not_start_until_it_is_released() -> None:
    async def scenario() -> None:
        watched = Watched("serves")
        watched.worker.hold()
        async with watched:
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(watched.messages.get(), 0.3)
            assert watched.worker.pid is None
            assert watched.worker.next_try_in_s is None
            watched.worker.release()
            await watched.message()

    asyncio.run(scenario())


def test_holding_lets_the_child_go_on_and_keeps_back_the_next_one() -> None:
    async def scenario() -> None:
        async with Watched("serves") as watched:
            await watched.message()
            pid = watched.worker.pid
            watched.worker.hold()
            await asyncio.sleep(0)
            assert watched.worker.pid == pid
            watched.worker.kill("it is time")
            assert (await watched.exit()).reason == "killed: it is time"
            watched.worker.retry_now()
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(watched.messages.get(), 0.3)
            assert watched.worker.next_try_in_s is None, "it is held: there is no date"
            watched.worker.release()
            await watched.message()
            assert watched.worker.restarts == 1

    asyncio.run(scenario())


def test_the_next_try_is_dated_and_can_be_had_at_once() -> None:
    async def scenario() -> None:
        async with Watched("faults") as watched:
            assert (await watched.exit()).retry_in_s == 30
            assert watched.worker.next_try_in_s == pytest.approx(30, abs=1)
            await watched.message()
            watched.worker.retry_now()
            await watched.message()  # well before those 30 s
            assert watched.worker.restarts == 1
            assert watched.worker.next_try_in_s is None, "it runs"

    asyncio.run(scenario())


def test_a_hurry_from_before_the_failure_does_not_shorten_the_pause_after_it() -> None:
    async def scenario() -> None:
        async with Watched("faults") as watched:
            await watched.message()
            watched.worker.retry_now()
            await watched.exit()
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(watched.messages.get(), 0.3)

    asyncio.run(scenario())


def test_the_back_off_has_an_upper_bound() -> None:
    async def scenario() -> list[float]:
        async with Watched("exits", max_backoff_s=0.7) as watched:
            retries = []
            for _ in range(4):
                retries.append((await watched.exit()).retry_in_s)
                watched.worker.retry_now()
            return retries

    assert asyncio.run(scenario()) == [0.5, 0.7, 0.7, 0.7]


def test_a_stop_that_comes_together_with_a_hurry_is_heard() -> None:
    async def scenario() -> None:
        watched = Watched("faults")
        async with asyncio.timeout(10), watched:
            await watched.exit()
            watched.worker.retry_now()  # and in the same moment it is cancelled

    asyncio.run(scenario())


def test_each_failure_has_the_last_words_of_its_own_process(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> tuple[Exit, Exit]:
        async with Watched("aborts") as watched:
            first = await watched.exit()
            monkeypatch.setenv("SCRIPTED_WORKER_WORDS", "another cause")
            watched.worker.retry_now()
            return first, await watched.exit()

    first, second = asyncio.run(scenario())
    assert first.signal == second.signal == 6
    assert first.reason.endswith("its last words: F usb_driver.cc:857] transfer on tag 2 failed: secret")
    assert second.reason.endswith("its last words: another cause")


def test_the_memory_of_the_child_is_known_while_it_lives() -> None:
    async def scenario() -> None:
        watched = Watched("serves")
        assert watched.worker.rss_mb is None
        async with watched:
            await watched.message()
            assert watched.worker.rss_mb is not None
            assert 5 < watched.worker.rss_mb < 200
        assert watched.worker.rss_mb is None

    asyncio.run(scenario())


@contextmanager
def undying(pid: int, root: Path) -> Iterator["subprocess.Popen[str]"]:
    """Keep this process from ending until the block or the tracer ends."""
    script = root / "tests" / "workers" / "undead.py"
    tracer = subprocess.Popen(
        [sys.executable, str(script), str(pid)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert tracer.stdout is not None
        assert tracer.stdout.readline() == "traced\n"
        yield tracer
    finally:
        tracer.communicate("")


async def gone(pid: int) -> None:
    """Wait until the process was reaped."""
    async with asyncio.timeout(20):
        while Path(f"/proc/{pid}").exists():
            await asyncio.sleep(0.01)  # nothing announces it


def test_fault_22_a_worker_that_cannot_be_killed_is_left_behind_and_named(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(visiond.supervisor, "UNKILLABLE_S", 0.3)

    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        async with Watched("serves") as watched:
            await watched.message()
            pid = watched.worker.pid
            assert pid is not None
            with undying(pid, root):
                began_s = loop.time()
                watched.worker.kill("the engine hangs: no answer for 0.5 s")
                assert loop.time() - began_s < 0.1, "the parent does not wait for it"
                ended = await watched.exit()
                assert loop.time() - began_s < 5
                assert ended.reason == (
                    f"killed: the engine hangs: no answer for 0.5 s; process {pid} cannot be killed, it is stuck in "
                    "the kernel (state t) and is left behind: unplug its device, or reboot"
                )
                assert watched.worker.left_behind == {pid}
                watched.worker.retry_now()
                await watched.message()  # a successor works beside it
                assert watched.worker.pid not in (None, pid)
            await gone(pid)
            assert watched.worker.left_behind == set()
            assert watched.worker.pid is not None, "the successor goes on"

    descriptors = len(list(Path("/proc/self/fd").iterdir()))
    asyncio.run(scenario())
    assert len(list(Path("/proc/self/fd").iterdir())) == descriptors


def test_fault_22_a_worker_that_cannot_be_killed_does_not_keep_the_daemon_from_stopping(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(visiond.supervisor, "GRACE_S", 0.2)

    async def scenario() -> "subprocess.Popen[bytes]":
        watched = Watched("hangs")
        async with watched:
            await watched.message()
            process = watched.worker._process
            assert process is not None
            with undying(process.pid, root):
                began_s = asyncio.get_running_loop().time()
                await watched.__aexit__()
                assert asyncio.get_running_loop().time() - began_s < 2
                assert process.poll() is None, "it is still there"
        return process

    asyncio.run(scenario()).wait(20)
