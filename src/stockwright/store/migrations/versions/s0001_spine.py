"""Shops, the inbox, runs and effects, pools and their journal."""

from stockwright.store.migrations.step import run_file

revision = "0001"
down_revision = None


def upgrade() -> None:
    run_file("0001_spine.sql")
