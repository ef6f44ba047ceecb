"""Sales channels, what is remembered of products for publishing, and each return to stock."""

from stockwright.store.migrations.step import run_file

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    run_file("0005_publishing.sql")
