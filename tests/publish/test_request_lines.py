"""What a client sends, split into lines: whole ones, in time, and not too many."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from visiond.publish.limits import Limits
from visiond.publish.request_lines import Flooded, RequestLines, TokenBucket
from visiond.publish.requests import ProtocolError

PATIENT = Limits(requests_burst=10**9)
lines = st.lists(st.binary(max_size=30).map(lambda line: line.replace(b"\n", b"")), max_size=12)


def fed(splitter: RequestLines, data: bytes, piece: int, now_s: float = 0.0) -> list[bytes | ProtocolError]:
    return [line for i in range(0, len(data), piece) for line in splitter.feed(data[i : i + piece], now_s)]


@settings(deadline=None)
@given(sent=lines, seed=st.integers(0, 99))
def test_lines_come_out_whole_however_they_arrive(sent: list[bytes], seed: int) -> None:
    data = b"".join(line + b"\n" for line in sent) + b"unfinished"
    splitter, chance, got = RequestLines(PATIENT, 0.0), random.Random(seed), []
    while data:
        cut = chance.randrange(1, 9)
        got += list(splitter.feed(data[:cut], 0.0))
        data = data[cut:]
    assert got == sent


@pytest.mark.parametrize("piece", [1, 1000, 4096])
def test_fault_34_a_line_over_4_kib_is_refused_once_and_the_next_one_is_served(piece: int) -> None:
    longest = b"x" * 4096
    got = fed(RequestLines(PATIENT, 0.0), longest + b"\n" + longest + b"xx\n" + b"y" * 20000 + b"\nnext\n", piece)
    assert [str(line) if isinstance(line, ProtocolError) else line for line in got] == [
        longest,
        "a request of more than 4096 bytes",
        "a request of more than 4096 bytes",
        b"next",
    ]


def test_fault_34_a_line_must_be_finished_in_time() -> None:
    splitter = RequestLines(Limits(line_s=5.0), 0.0)
    assert not splitter.overdue(100.0), "a client may say nothing"
    assert fed(splitter, b'{"ty', 1, now_s=100.0) == []
    assert fed(splitter, b"p", 1, now_s=104.9) == []
    assert not splitter.overdue(105.0)
    assert splitter.overdue(105.1), "a byte now and then does not help"
    assert fed(splitter, b"e\n", 2, now_s=106.0) == [b'{"type']
    assert not splitter.overdue(1000.0)
    assert fed(splitter, b"x" * 5000, 4096, now_s=1000.0) != []
    assert splitter.overdue(1005.1), "the end of a line that is skipped is waited for no longer"


def test_fault_33_requests_cost_tokens() -> None:
    splitter = RequestLines(Limits(requests_per_s=20, requests_burst=40), 0.0)
    assert len(fed(splitter, b"\n" * 40, 40)) == 40
    with pytest.raises(Flooded):
        fed(splitter, b"\n", 1)
    assert len(fed(splitter, b"\n" * 20, 20, now_s=1.0)) == 20
    with pytest.raises(Flooded):
        fed(splitter, b"\n", 1, now_s=1.0)


def test_fault_33_a_line_without_end_costs_tokens_too() -> None:
    splitter = RequestLines(Limits(requests_burst=40), 0.0)
    assert len(fed(splitter, b"x" * 4096 * 40, 4096)) == 1
    with pytest.raises(Flooded):
        fed(splitter, b"x" * 4096 * 2, 4096)


def test_a_bucket_fills_up_to_its_burst_and_no_further() -> None:
    bucket = TokenBucket(20.0, 40, 0.0)
    assert [bucket.take(0.0) for _ in range(41)].count(True) == 40
    assert [bucket.take(0.5) for _ in range(20)].count(True) == 10
    assert [bucket.take(1e6) for _ in range(50)].count(True) == 40
