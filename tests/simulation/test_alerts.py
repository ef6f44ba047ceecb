"""A small run of the alerts depth; `make simulate ARGS="--depth alerts"` mails ten thousand through ten kills."""

import pytest

from tests.simulation.alerts import Report, run


@pytest.mark.timeout(480)
def test_kills_of_the_worker_mail_nobody_twice_and_forget_nobody() -> None:
    report = run([7], kills=2, people=300)
    assert report.failures == {}
    [outcome] = report.outcomes
    assert outcome.sent + outcome.unknown == 300
    assert outcome.unknown <= 2 * 8, "at most one message in doubt per connection and kill"


def test_a_failed_seed_is_told_with_the_command_that_repeats_it() -> None:
    report = Report(asked_kills=2, asked_people=300, failures={7: "somebody was mailed twice"})
    assert 'make simulate ARGS="--depth alerts --seed 7 --kills 2 --people 300"' in report.lines()[-1]
