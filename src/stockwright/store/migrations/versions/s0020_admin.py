"""The admin site: users, sessions, API tokens, the audit log, hourly statistics."""

from stockwright.store.migrations.step import run_file

revision = "0020"
down_revision = "0005"


def upgrade() -> None:
    run_file("0020_admin.sql")
