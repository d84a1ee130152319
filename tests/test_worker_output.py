"""What a worker writes to its stderr: how much of it reaches the log."""

from visiond.worker_output import MOST_LINES, PERIOD_S, LineLimit


def test_a_worker_that_talks_without_end_fills_no_log_and_what_was_left_out_is_told() -> None:
    now_s = 0.0
    limit = LineLimit(lambda: now_s)
    assert [limit.admits() for _ in range(MOST_LINES + 50)].count(True) == MOST_LINES
    assert limit.left_out() == 0, "the period goes on"
    now_s = PERIOD_S
    assert (limit.left_out(), limit.left_out()) == (50, 0)
    assert limit.admits()


def test_one_that_says_little_loses_nothing() -> None:
    now_s = 0.0
    limit = LineLimit(lambda: now_s)
    for number in range(1000):
        now_s = number * PERIOD_S / MOST_LINES
        assert limit.left_out() == 0
        assert limit.admits()
