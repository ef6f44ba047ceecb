"""The admin site: users, sessions, API tokens, the audit log, hourly statistics."""

from stockwright.store.migrations.step import run_file

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    run_file("0006_admin.sql")
