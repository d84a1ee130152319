"""Staff: the tasks of a running daemon, which come and go with its configuration. One that fails ends the daemon."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

Work = Callable[[], Coroutine[Any, Any, None]]


class Staff:
    """Starts tasks by what they work for, and ends them; all of them at the end."""

    def __init__(self) -> None:
        self._waiting: dict[object, Work] = {}
        self._tasks: dict[object, asyncio.Task[None]] = {}
        self._dismissed: set[asyncio.Task[None]] = set()
        self._failed: asyncio.Future[Any] | None = None

    def start(self, worker: object, work: Work) -> None:
        """Let what `work` returns run for `worker`, from `begin` on if that has not come yet."""
        if self._failed is None:
            self._waiting[worker] = work
            return
        task = asyncio.create_task(work())
        task.add_done_callback(self._ended)
        self._tasks[worker] = task

    def begin(self) -> asyncio.Future[Any]:
        """Start all that waits; return a future that is done when a task has failed, with its exception."""
        self._failed = asyncio.get_running_loop().create_future()
        waiting, self._waiting = self._waiting, {}
        for worker, work in waiting.items():
            self.start(worker, work)
        return self._failed

    def dismiss(self, worker: object) -> None:
        """End what runs for `worker`, without waiting for it."""
        task = self._tasks.pop(worker, None)
        if task is not None:
            task.cancel()
            self._dismissed.add(task)
            task.add_done_callback(self._dismissed.discard)

    async def close(self) -> None:
        """End all, and wait for it."""
        tasks = [*self._tasks.values(), *self._dismissed]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _ended(self, task: asyncio.Task[None]) -> None:
        """None of them ends by itself: one that does has failed."""
        if self._failed is None or self._failed.done() or task.cancelled():
            return
        self._failed.set_exception(task.exception() or RuntimeError("a task of the daemon has ended by itself"))
