"""What a step may do: run a text of SQL as it is, on the driver's own connection."""

from importlib.resources import files

from alembic import op


def run_file(name: str) -> None:
    """Run `versions/<name>`."""
    run_sql(files("stockwright.store.migrations").joinpath("versions", name).read_text(encoding="utf-8"))


def run_sql(text: str) -> None:
    """Run several statements at once; without parameters, so that % stays %."""
    driver = op.get_bind().connection.driver_connection
    assert driver is not None
    driver.execute(text)
