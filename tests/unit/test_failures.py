"""How long a key waits after its runs fail: long after errors of its own, short after deaths of others."""

from stockwright.jobs.failures import LONGEST_DELAY_S, crash_delay_s


def test_runs_that_died_with_worker_or_database_go_on_soon_but_never_in_a_tight_loop() -> None:
    pauses = [crash_delay_s(failures, spread=0.5) for failures in (1, 2, 3, 4, 5, 100)]
    assert pauses == [0.0, 1.0, 2.0, 4.0, 8.0, LONGEST_DELAY_S]


def test_three_deaths_in_a_row_leave_time_to_look_at_a_lost_answer() -> None:
    assert sum(crash_delay_s(failures, spread=1) for failures in (1, 2, 3)) < 30
