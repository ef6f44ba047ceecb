"""Back-in-stock notifications: offers, subscribers, waves, notifications, suppression, compliance."""

from stockwright.store.migrations.step import run_file

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    run_file("0008_notifications.sql")
