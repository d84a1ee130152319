"""What one client may cost the daemon, in one place; tests pass smaller numbers."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds per client, and of accepting clients."""

    stall_s: float = 30.0
    """A client that has not finished reading one message for so long is closed."""
    line_s: float = 5.0
    """A request must be whole so long after its first byte."""
    requests_per_s: float = 20.0
    requests_burst: int = 40
    errors: int = 3
    """The error that closes the connection."""
    waiting_replies: int = 64
    """Replies that wait for a client which asks and does not read; one more closes it."""
    goodbye_s: float = 0.5
    """What a client that is sent away gets to take the rest of a line and the bye."""
    send_buffer_bytes: int = 16384
    """SO_SNDBUF (the kernel doubles it). A message is written only when the last one has left, so the buffer never
    holds more than one; this size lets one of 100 objects go in one piece, where the kernel's minimum takes five."""
    accept_pause_s: float = 0.1
    """How long no client is accepted after the process ran out of file descriptors."""
    kept_free_fds: int = 16
    """Descriptors that clients may not take: a camera or an engine that restarts needs some."""
    backlog: int = 1024
    """Clients that the kernel lets wait to be accepted; one more that does not want to wait gets EAGAIN."""
