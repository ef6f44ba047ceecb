"""The whole depth: production inbox, engine, effects, client and PostgreSQL against the bundled shop.

Faults of the API, the webhooks and the process are drawn from a seed and enter through the seams that the
code is handed: transport, connection pool, clock. The shop's own history is the judge.
"""

from tests.simulation.whole.report import ENOUGH_FOR_ALL_FAULTS, Report, replay, run

__all__ = ["ENOUGH_FOR_ALL_FAULTS", "Report", "replay", "run"]
