"""How long a key waits after its runs fail: long after errors of its own, short after deaths of others."""

from stockwright.jobs.failures import LONGEST_DELAY_S, crash_delay_s, first_look_delay_s
from stockwright.store.wake import AT_ONCE


def test_runs_that_died_with_worker_or_database_go_on_soon_but_never_in_a_tight_loop() -> None:
    pauses = [crash_delay_s(failures, spread=0.5) for failures in (1, 2, 3, 4, 5, 100)]
    assert pauses == [0.0, 1.0, 2.0, 4.0, 8.0, LONGEST_DELAY_S]


def test_a_lost_answer_is_looked_into_at_once_unless_its_key_may_be_what_kills() -> None:
    pauses = [first_look_delay_s(failures, spread=0.5) for failures in (1, 2, AT_ONCE, AT_ONCE + 1)]
    assert pauses == [0.0, 0.0, 0.0, crash_delay_s(AT_ONCE + 1, spread=0.5)]
    assert pauses[-1] > 30
