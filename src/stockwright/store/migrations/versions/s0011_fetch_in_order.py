"""Fetching a job reads the waiting ones in their order, however many there are."""

from stockwright.store.migrations.step import run_file

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    run_file("0011_fetch_in_order.sql")
