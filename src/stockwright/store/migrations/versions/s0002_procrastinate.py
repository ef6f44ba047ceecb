"""The job engine's own tables, from its package (its version is pinned, and a test pins the text)."""

from importlib.metadata import distribution
from pathlib import Path

from stockwright.store.migrations.step import run_sql

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    schema = Path(str(distribution("procrastinate").locate_file("procrastinate/sql/schema.sql")))
    run_sql(schema.read_text(encoding="utf-8"))
