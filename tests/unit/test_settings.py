"""The settings table: where values come from, what is refused, what is shown."""

from pathlib import Path

import pytest

from stockwright.settings import Settings, SettingsError, describe, load

SECRET = "postgresql://joe:hush@db/stock"


def test_without_an_environment_every_setting_has_its_default() -> None:
    settings = load({}, env_file=None)
    assert (settings.host, settings.port, settings.database_url) == ("127.0.0.1", 8000, None)
    assert settings.home == Path("~/.stockwright").expanduser()


def test_a_variable_sets_its_field_and_nothing_else_is_looked_at() -> None:
    environ = {"STOCKWRIGHT_PORT": "9000", "DATABASE_URL": SECRET, "PATH": "/bin", "PORT": "1"}
    settings = load(environ, env_file=None)
    assert settings.port == 9000
    assert settings.database_url is not None
    assert settings.database_url.get_secret_value() == SECRET


def test_the_environment_wins_over_the_file(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text("STOCKWRIGHT_PORT=9000\nSTOCKWRIGHT_HOST='0.0.0.0'\nOTHER=1\n")
    settings = load({"STOCKWRIGHT_PORT": "9001"}, env_file=file)
    assert (settings.port, settings.host) == (9001, "0.0.0.0")


def test_an_empty_variable_is_unset() -> None:
    assert load({"STOCKWRIGHT_PORT": "", "DATABASE_URL": ""}, env_file=None) == load({}, env_file=None)


def test_writers_that_would_take_every_connection_are_refused() -> None:
    with pytest.raises(
        SettingsError, match=r"STOCKWRIGHT_INBOX_WRITERS.*less than STOCKWRIGHT_WEB_POOL_SIZE \(6\)"
    ):
        load({"STOCKWRIGHT_INBOX_WRITERS": "6"}, env_file=None)
    assert load({"STOCKWRIGHT_INBOX_WRITERS": "5"}, env_file=None).inbox_writers == 5


def test_a_missing_file_is_no_error(tmp_path: Path) -> None:
    assert load({}, env_file=tmp_path / ".env").port == 8000


def test_an_unknown_name_is_refused_with_the_nearest_one(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"no setting STOCKWRIGHT_PROT\. Did you mean STOCKWRIGHT_PORT\?"):
        load({"STOCKWRIGHT_PROT": "1"}, env_file=None)
    (tmp_path / ".env").write_text("STOCKWRIGHT_XYZZY=1\n")
    with pytest.raises(SettingsError, match=r"no setting STOCKWRIGHT_XYZZY\. `stockwright settings` lists"):
        load({}, env_file=tmp_path / ".env")


def test_every_mistake_is_reported_at_once_by_the_name_that_was_set() -> None:
    mistakes = {
        "STOCKWRIGHT_PORT": "http",
        "STOCKWRIGHT_LOG_LEVEL": "loud",
        "STOCKWRIGHT_PUBLIC_URL": "stock.example.com",
        "STOCKWRIGHT_INBOX_LIMIT_S": "60",
        "STOCKWRIGHT_NOPE": "1",
    }
    with pytest.raises(SettingsError) as refused:
        load(mistakes, env_file=None)
    assert len(str(refused.value).splitlines()) == len(mistakes)
    for name, value in mistakes.items():
        assert name in str(refused.value)
        assert name == "STOCKWRIGHT_NOPE" or value in str(refused.value)


def test_the_names_of_the_test_suite_are_left_alone() -> None:
    assert load({"STOCKWRIGHT_TEST_CHROMIUM": "/usr/bin/chromium"}, env_file=None) == load({}, env_file=None)


def test_the_public_address_loses_its_last_slash() -> None:
    assert (
        load({"STOCKWRIGHT_PUBLIC_URL": "https://x.example/"}, env_file=None).public_url
        == "https://x.example"
    )


def test_secrets_are_masked_wherever_they_are_shown() -> None:
    settings = load({"DATABASE_URL": SECRET, "STOCKWRIGHT_SECRET_KEY": "hush"}, env_file=None)
    shown = repr(settings) + str(settings) + repr(describe(settings))
    assert "hush" not in shown
    assert {line.name: line.value for line in describe(settings)}["DATABASE_URL"] == "********"


def test_every_setting_says_what_it_means() -> None:
    lines = describe(load({"STOCKWRIGHT_PORT": "9000"}, env_file=None))
    assert len(lines) == len(Settings.model_fields)
    assert [line.name for line in lines if not line.meaning.endswith(".")] == []
    [port] = [line for line in lines if line.name == "STOCKWRIGHT_PORT"]
    assert (port.value, port.default) == ("9000", "8000")


def test_networks_of_proxies_are_read_and_others_refused() -> None:
    settings = load({"STOCKWRIGHT_TRUSTED_PROXIES": "10.0.0.0/8, ::1/128,"}, env_file=None)
    assert [str(network) for network in settings.proxy_networks] == ["10.0.0.0/8", "::1/128"]
    with pytest.raises(SettingsError, match="STOCKWRIGHT_TRUSTED_PROXIES cannot be used"):
        load({"STOCKWRIGHT_TRUSTED_PROXIES": "10.0.0.1/8"}, env_file=None)


@pytest.mark.parametrize(
    "url",
    [
        "mysql://joe:hush@db/stock",
        "notaurl-hush",
        "postgresql:joe:hush@db/stock",
        "postgresql://joe:hu@sh@db/stock",
        "postgresql://joe:hu/sh@db/stock",
        "postgresql://joe:hush%@db/stock",
        "postgresql://joe:hush@db:port/stock",
    ],
)
def test_an_address_that_is_no_database_of_ours_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(
        SettingsError, match=r"DATABASE_URL cannot be used: must look like postgresql://"
    ) as refused:
        load({"DATABASE_URL": url}, env_file=None)
    for secret in ("hush", "hu@sh", "hu/sh", "joe"):
        assert secret not in str(refused.value)


@pytest.mark.parametrize(
    "url",
    [
        SECRET,
        "postgres://db",
        "postgresql:///stock?host=/var/run/postgresql&user=joe",
        "postgresql://joe:p%40ss%3A@[::1]:5433/stock?sslmode=require",
        "postgresql://joe@one:5432,two/stock",
        "postgresql://stockwright@/stockwright?host=%2Ftmp%2Fsocket",
    ],
)
def test_addresses_that_the_driver_takes_are_taken(url: str) -> None:
    found = load({"DATABASE_URL": url}, env_file=None).database_url
    assert found is not None
    assert found.get_secret_value() == url
