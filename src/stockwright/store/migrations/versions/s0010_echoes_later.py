"""Keys that only hear back what we wrote ourselves wait behind all others."""

from stockwright.store.migrations.step import run_file

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    run_file("0010_echoes_later.sql")
