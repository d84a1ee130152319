"""Small processes that fight for one socket; run as a script by test_socket_path.py.

They are forked from this one, which has a single thread and has imported all they need: a round takes milliseconds.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from pathlib import Path

from numbered_daemon import hello, status
from visiond.errors import VisiondError
from visiond.publish.unix_socket import UnixSocketServer


def become_daemon(path: Path, go: int, report: int) -> None:
    """Start when `go` is closed by the last writer, and tell on `report` how it went; then live until killed."""

    async def serve() -> None:
        server = UnixSocketServer(path, group=None, mode=0o660, max_clients=8, hello=hello, status=status)
        os.read(go, 1)
        try:
            await server.start()
            answer = {"pid": os.getpid(), "code": 0, "text": ""}
        except VisiondError as error:
            answer = {"pid": os.getpid(), "code": error.exit_code, "text": str(error)}
        os.write(report, json.dumps(answer).encode() + b"\n")
        await asyncio.sleep(60)

    asyncio.run(serve())


def race(path: Path, rivals: int, ending: signal.Signals) -> list[dict[str, object]]:
    """Let so many processes start at once; return what each of them said."""
    go_read, go_write = os.pipe()
    report_read, report_write = os.pipe()
    pids = []
    for _ in range(rivals):
        pid = os.fork()
        if pid == 0:
            os.close(go_write)
            become_daemon(path, go_read, report_write)
            os._exit(0)
        pids.append(pid)
    os.close(go_write)
    answers: list[dict[str, object]] = []
    with os.fdopen(report_read) as reports:
        while len(answers) < rivals:
            answers.append(json.loads(reports.readline()))
    for pid in pids:
        os.kill(pid, ending)
        os.waitpid(pid, 0)
    os.close(go_read)
    os.close(report_write)
    return answers


if __name__ == "__main__":
    where, rounds, how_many = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    for _ in range(rounds):
        print(json.dumps(race(where, how_many, signal.SIGKILL)), flush=True)
