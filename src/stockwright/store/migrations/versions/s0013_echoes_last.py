"""Echoes that came before their correction was booked wait behind all others, too."""

from stockwright.store.migrations.step import run_file

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    run_file("0013_echoes_last.sql")
