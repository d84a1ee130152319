"""Worker: one child process that may die, hang or lie at any moment. Spawn, watch, kill, back off, spawn again."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from visiond.channel import Channel, ChannelClosed
from visiond.messages import Fault, Message, from_json, to_json
from visiond.worker_output import LineLimit, LineReader

log = logging.getLogger(__name__)

FIRST_BACKOFF_S: Final = 0.5
MAX_BACKOFF_S: Final = 30.0
STABLE_S: Final = 60.0  # a worker that lived this long starts its back-off afresh
GRACE_S: Final = 1.0  # between closing the channel and SIGKILL
UNKILLABLE_S: Final = 2.0  # after SIGKILL; a process that lives on is inside the kernel
LAST_WORDS: Final = 5  # lines of stderr kept for the reason
_PAGE_BYTES: Final = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True, slots=True)
class Exit:
    """How a worker ended, in words, and when it is tried again.

    `permanent`: only a person can mend the cause. `planned`: it was asked to end. `signal`: what it died of by itself.
    `kind`: as in Fault.
    """

    reason: str
    permanent: bool = False
    planned: bool = False
    signal: int | None = None
    kind: str | None = None
    retry_in_s: float = 0.0


class Worker:
    """One child and its channel. Callbacks run on the event loop; none of the methods waits."""

    def __init__(
        self,
        name: str,
        module: str,
        first: Callable[[], Message],
        on_message: Callable[[Message, list[int]], None],
        on_exit: Callable[[Exit], None],
        redact: Callable[[str], str] = str,
        max_backoff_s: float = MAX_BACKOFF_S,
    ) -> None:
        """`module` is run as `python -m`; `first` gives the message that it begins with; `redact` cleans its stderr."""
        self.name = name
        self.restarts = 0
        self.left_behind: set[int] = set()  # process ids that SIGKILL does not end
        self._max_backoff_s = max_backoff_s
        self._may_start = asyncio.Event()
        self._may_start.set()
        self._hurry = asyncio.Event()  # ends the pause before the next try
        self._next_try_s: float | None = None
        self._ended = asyncio.Event()
        self._stuck = False
        self._plan: str | None = None
        self._module = module
        self._first = first
        self._on_message = on_message
        self._on_exit = on_exit
        self._redact = redact
        self._process: subprocess.Popen[bytes] | None = None
        self._channel: Channel | None = None
        self._stderr: LineReader | None = None
        self._fault: Fault | None = None
        self._kill_reason: str | None = None
        self._last_words: deque[str] = deque(maxlen=LAST_WORDS)
        self._limit = LineLimit()
        self._deadline: asyncio.TimerHandle | None = None
        kind, _, part = name.partition(" ")
        self._fields = {kind: part}  # of the journal
        self._backoff_s = FIRST_BACKOFF_S

    @property
    def pid(self) -> int | None:
        """Process id while it runs."""
        return None if self._process is None else self._process.pid

    @property
    def is_held(self) -> bool:
        """Whether it is meant to have no child now."""
        return not self._may_start.is_set()

    @property
    def overdue_s(self) -> float | None:
        """Seconds past the deadline that the child was given, below 0 before it, None while there is none."""
        return None if self._deadline is None else asyncio.get_running_loop().time() - self._deadline.when()

    @property
    def next_try_in_s(self) -> float | None:
        """Seconds until the child is started again, None while it runs or is held."""
        if self._next_try_s is None or not self._may_start.is_set():
            return None
        return max(0.0, self._next_try_s - asyncio.get_running_loop().time())

    @property
    def rss_mb(self) -> float | None:
        """Resident memory of the child in MB, None while there is none."""
        with suppress(OSError):
            if self._process is not None:
                pages = int(Path(f"/proc/{self._process.pid}/statm").read_text().split()[1])
                return pages * _PAGE_BYTES / 1e6
        return None

    async def run(self) -> None:
        """Keep one child running until cancelled; then end it within GRACE_S and return."""
        loop = asyncio.get_running_loop()
        try:
            while True:
                await self._may_start.wait()
                started_s = loop.time()
                ended = await self._run_once()
                if loop.time() - started_s > STABLE_S:
                    self._backoff_s = FIRST_BACKOFF_S
                if not ended.planned:
                    ended = replace(ended, retry_in_s=self._max_backoff_s if ended.permanent else self._backoff_s)
                    self._backoff_s = min(self._backoff_s * 2, self._max_backoff_s)
                    log.error(
                        "%s: %s; next try in %.1f s", self.name, ended.reason, ended.retry_in_s, extra=self._fields
                    )
                else:
                    log.info("%s: %s", self.name, ended.reason, extra=self._fields)
                await self._pause(ended)
                self.restarts += 1
        finally:
            await self._stop()

    def hold(self) -> None:
        """Start no child from here on; one that runs goes on."""
        self._may_start.clear()

    def release(self) -> None:
        """Start a child again, when its next try is due."""
        self._may_start.set()

    def retry_now(self) -> None:
        """Do not wait for the next try: its cause has gone."""
        self._hurry.set()

    def end(self, reason: str) -> None:
        """Ask the child to end, as planned: no failure, no back-off."""
        if self._process is not None and self._plan is None:
            self._plan = reason
            self._close_channel()
            self.expect_within(GRACE_S, reason)

    def send(self, message: Message, fds: tuple[int, ...] = ()) -> None:
        """Send to the child if there is one; one that does not read its channel is killed."""
        if self._channel is None:
            return
        try:
            self._channel.send(to_json(message), fds)
        except BlockingIOError:
            self.kill("it no longer reads what it is told")
        except ChannelClosed:
            pass  # its exit is on the way

    def expect_within(self, seconds: float | None, reason: str = "") -> None:
        """Kill the child, for this reason, unless called again within `seconds`; None takes the deadline away."""
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
        if seconds is not None and self._process is not None:
            self._deadline = asyncio.get_running_loop().call_later(seconds, self.kill, reason)

    def kill(self, reason: str) -> None:
        """End the child at once; `reason` becomes its exit's."""
        if self._process is not None and self._process.returncode is None and self._kill_reason is None:
            self._kill_reason = reason
            self._process.kill()
            asyncio.get_running_loop().call_later(UNKILLABLE_S, self._give_up, self._process)

    async def _pause(self, ended: Exit) -> None:
        """Tell of the end, and wait until the next try is due."""
        self._hurry.clear()
        self._next_try_s = asyncio.get_running_loop().time() + ended.retry_in_s
        self._on_exit(ended)
        with suppress(TimeoutError):  # wait_for of Python 3.11 loses a cancellation that comes with the event
            async with asyncio.timeout(ended.retry_in_s):
                await self._hurry.wait()
        await self._may_start.wait()
        self._next_try_s = None

    async def _run_once(self) -> Exit:
        """Start a child and wait for its end; return how that was."""
        self._fault, self._kill_reason, self._plan, self._stuck = None, None, None, False
        self._last_words.clear()
        try:
            channel = self._spawn()
        except OSError as error:  # EAGAIN under TasksMax, ENOMEM, EMFILE
            return Exit(f"cannot start the process: {error.strerror}")
        loop = asyncio.get_running_loop()
        loop.add_reader(channel.fileno(), self._receive, channel)
        self.send(self._first())
        await self._exited()
        while self._channel is not None and self._receive(channel):
            pass  # what it said last
        return self._forget()

    def _spawn(self) -> Channel:
        self._channel, child = Channel.pair()
        read_fd, write_fd = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        os.set_blocking(write_fd, True)
        try:
            command = [sys.executable, "-m", self._module, self.name]
            self._process = subprocess.Popen(
                [*command, "--channel", str(child.fileno()), "--parent", str(os.getpid())],
                stdin=subprocess.DEVNULL,
                stdout=write_fd,
                stderr=write_fd,
                pass_fds=[child.fileno()],
                env=worker_environment(),
            )
        except OSError:
            os.close(read_fd)
            self._channel.close()
            self._channel = None
            raise
        finally:
            child.close()
            os.close(write_fd)
        self._stderr = LineReader(read_fd, self._heard)
        return self._channel

    def _receive(self, channel: Channel) -> bool:
        """Hand on one message, so that a chatty worker leaves the others their turn; False when none waits."""
        try:
            fields, fds = channel.receive()
            message = from_json(fields)
        except BlockingIOError:
            return False
        except ChannelClosed:
            asyncio.get_running_loop().remove_reader(channel.fileno())
            self.expect_within(GRACE_S, "it closed its channel and did not end")
            return False
        except ValueError as error:
            self.kill(f"it sent what is no message ({error})")
            return False
        if isinstance(message, Fault):
            self._fault = message
        else:
            self._on_message(message, fds)
        return True

    def _heard(self, line: str) -> None:
        line = self._redact(line)
        if not line.startswith("INFO:"):  # a library's greeting explains no death
            self._last_words.append(line)
        if left_out := self._limit.left_out():
            log.info("%s: %d more lines, which were left out", self.name, left_out, extra=self._fields)
        if self._limit.admits():
            log.info("%s: %s", self.name, line, extra=self._fields)

    async def _exited(self) -> None:
        """Wait for the child's end without blocking the loop; return as well when it cannot be killed."""
        assert self._process is not None
        loop = asyncio.get_running_loop()
        process, pidfd = self._process, os.pidfd_open(self._process.pid)
        self._ended.clear()
        loop.add_reader(pidfd, self._ended.set)
        try:
            await self._ended.wait()
        finally:
            loop.remove_reader(pidfd)
            if self._stuck:
                self._leave_behind(process, pidfd)
            else:
                os.close(pidfd)
        if not self._stuck:
            process.wait(0)

    def _give_up(self, process: subprocess.Popen[bytes]) -> None:
        """SIGKILL was sent a while ago: if the child is still there, only the kernel can let it go."""
        if process is self._process and process.poll() is None:
            self._stuck = True
            self._ended.set()

    def _leave_behind(self, process: subprocess.Popen[bytes], pidfd: int) -> None:
        loop = asyncio.get_running_loop()
        self.left_behind.add(process.pid)

        def reap() -> None:
            loop.remove_reader(pidfd)
            os.close(pidfd)
            process.wait(0)
            self.left_behind.discard(process.pid)
            log.info("%s: process %d, which could not be killed, has ended", self.name, process.pid)

        loop.add_reader(pidfd, reap)

    def _forget(self) -> Exit:
        """Close all that belonged to the child that ended; return how it did."""
        assert self._process is not None
        pid, status = self._process.pid, self._process.returncode
        self.expect_within(None)
        self._close_channel()
        if self._stderr is not None:
            self._stderr.close()
            self._stderr = None
        self._process = None
        if self._stuck:
            return Exit(
                f"killed: {self._kill_reason}; process {pid} cannot be killed, it is stuck in the kernel "
                f"(state {_process_state(pid)}) and is left behind: unplug its device, or reboot"
            )
        if self._plan is not None:
            return Exit(self._plan, planned=True)
        if self._fault is not None:
            return Exit(self._fault.text, self._fault.permanent, kind=self._fault.kind)
        if self._kill_reason is not None:
            return Exit(f"killed: {self._kill_reason}")
        how = f"died of {signal.Signals(-status).name}" if status < 0 else f"ended with status {status}"
        words = "; ".join(self._last_words)
        reason = f"the process {how}" + (f", its last words: {words}" if words else "")
        return Exit(reason, signal=-status if status < 0 else None)

    def _close_channel(self) -> None:
        if self._channel is not None:
            asyncio.get_running_loop().remove_reader(self._channel.fileno())
            self._channel.close()
            self._channel = None

    async def _stop(self) -> None:
        """Close the channel, whose end the child reads, and ends; kill it if it does not."""
        if self._process is None:
            return
        self._close_channel()
        try:
            await asyncio.wait_for(self._exited(), GRACE_S)
        except TimeoutError:
            self._process.kill()
            with suppress(TimeoutError):  # in the kernel for ever: it is left behind
                await asyncio.wait_for(self._exited(), GRACE_S)
        if self._process.returncode is not None:
            self._forget()


def _process_state(pid: int) -> str:
    """The kernel's letter for what a process does: D is a wait that cannot be interrupted."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return "unknown"


def worker_environment() -> dict[str, str]:
    """The parent's environment, with this very package first on the path, wherever the parent was started from."""
    source_root = str(Path(__file__).resolve().parent.parent)
    paths = [source_root, *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "PYTHONUNBUFFERED": "1"}
