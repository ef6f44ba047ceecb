"""Secrets at rest: keys are made once, kept private, and their absence or change is told plainly."""

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from stockwright.encryption import load_or_create_key
from stockwright.model import StockwrightError


def test_a_sealed_text_opens_again_and_does_not_contain_the_text(tmp_path: Path) -> None:
    cipher = load_or_create_key(tmp_path, None)
    sealed = cipher.seal("shpat_secret")
    assert b"shpat_secret" not in sealed
    assert cipher.open(sealed) == "shpat_secret"


def test_the_key_file_is_made_once_and_only_its_owner_can_read_it(tmp_path: Path) -> None:
    home = tmp_path / "new" / "home"
    sealed = load_or_create_key(home, None).seal("a")
    path = home / "secret.key"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert load_or_create_key(home, None).open(sealed) == "a"
    assert [path.name for path in home.iterdir()] == ["secret.key"]


def test_processes_that_start_together_agree_on_one_key(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        ciphers = list(pool.map(lambda _: load_or_create_key(tmp_path, None), range(16)))
    assert {cipher.open(ciphers[0].seal("same")) for cipher in ciphers} == {"same"}


def test_a_given_key_wins_over_the_file_and_leaves_none_behind(tmp_path: Path) -> None:
    key = Fernet.generate_key().decode()
    assert load_or_create_key(tmp_path, key).open(Fernet(key).encrypt(b"x")) == "x"
    assert list(tmp_path.iterdir()) == []


def test_earlier_keys_still_open_while_the_newest_seals(tmp_path: Path) -> None:
    old, new = Fernet.generate_key().decode(), Fernet.generate_key().decode()
    sealed_before = load_or_create_key(tmp_path, old).seal("before")
    both = load_or_create_key(tmp_path, f"{new},{old}")
    assert both.open(sealed_before) == "before"
    assert load_or_create_key(tmp_path, new).open(both.seal("after")) == "after"


@pytest.mark.parametrize("key", ["short", "ö" * 44, "a" * 44 + "!", " , ", "A" * 43 + "=,x"])
def test_a_malformed_key_is_refused_with_its_origin_and_never_shown(tmp_path: Path, key: str) -> None:
    with pytest.raises(StockwrightError, match="STOCKWRIGHT_SECRET_KEY is malformed") as caught:
        load_or_create_key(tmp_path, key)
    assert key not in str(caught.value)


def test_a_malformed_key_file_is_refused_by_its_path(tmp_path: Path) -> None:
    (tmp_path / "secret.key").write_text("")
    with pytest.raises(StockwrightError, match=r"secret\.key is malformed"):
        load_or_create_key(tmp_path, None)


def test_a_key_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "secret.key").mkdir()
    with pytest.raises(StockwrightError, match=r"secret\.key cannot be read"):
        load_or_create_key(tmp_path, None)


def test_a_secret_of_another_key_says_so(tmp_path: Path) -> None:
    sealed = load_or_create_key(tmp_path / "one", None).seal("x")
    with pytest.raises(StockwrightError, match="encrypted with another key"):
        load_or_create_key(tmp_path / "two", None).open(sealed)


def test_keys_for_other_purposes_follow_from_each_key_and_reveal_none(tmp_path: Path) -> None:
    old, new = Fernet.generate_key().decode(), Fernet.generate_key().decode()
    both = load_or_create_key(tmp_path, f"{new},{old}")
    newest, older = both.derived("tests")
    assert load_or_create_key(tmp_path, old).derived("tests") == (older,)
    assert both.derived("other things")[0] != newest
    assert {len(newest), len(older)} == {32}
