"""The JSON API: request rates, answers kept for repeated requests, and the wish to stop a scan."""

from stockwright.store.migrations.step import run_file

revision = "0030"
down_revision = "0020"


def upgrade() -> None:
    run_file("0030_api.sql")
