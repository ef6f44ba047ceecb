"""The JSON API: request rates, answers kept for repeated requests, and the wish to stop a scan."""

from stockwright.store.migrations.step import run_file

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    run_file("0007_api.sql")
