"""How a key is woken: one function that every writer calls, and a bell for a job that waited."""

from stockwright.store.migrations.step import run_file

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    run_file("0003_wake.sql")
