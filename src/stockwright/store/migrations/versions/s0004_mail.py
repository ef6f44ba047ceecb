"""Mail: messages, attempts, settings, queues, templates."""

from stockwright.store.migrations.step import run_file

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    run_file("0004_mail.sql")
