"""The inbox finds the stock of a level by the level, however many levels the shop has."""

from stockwright.store.migrations.step import run_file

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    run_file("0012_levels_by_key.sql")
