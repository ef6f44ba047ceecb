"""Words of the titles of shared stocks, for searches."""

from stockwright.store.migrations.step import run_file

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    run_file("0009_title_words.sql")
