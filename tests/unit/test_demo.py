"""Where the demo lives and what it leaves alone, and how it shows a ledger."""

from datetime import UTC, datetime
from pathlib import Path

from stockwright.demo_plan import DemoOptions, plan_demo
from stockwright.demo_story import shortened
from stockwright.explaining import HistoryLine
from stockwright.settings import Settings, load, variable

PLAY, SCRIPT = (DemoOptions(scripted=scripted, shop_port=9000) for scripted in (False, True))
FOR_WORK = {
    "STOCKWRIGHT_HOME": "/srv/stock",
    "DATABASE_URL": "postgresql://joe:hush@db/stock",
    "STOCKWRIGHT_SECRET_KEY": "a key",
    "STOCKWRIGHT_OWNER_EMAIL": "owner@example.com",
    "STOCKWRIGHT_PUBLIC_URL": "https://stock.example.com",
    "STOCKWRIGHT_SMTP_HOST": "smtp.example.com",
    "STOCKWRIGHT_SMTP_USER": "stock",
    "STOCKWRIGHT_SMTP_PASSWORD": "hush",
    "STOCKWRIGHT_SMTP_SECURITY": "tls",
    "STOCKWRIGHT_BOUNCE_IMAP_HOST": "imap.example.com",
    "STOCKWRIGHT_BOUNCE_IMAP_PASSWORD": "hush",
}


def test_the_demo_lives_below_the_home_and_uses_nothing_that_is_set_up_for_work() -> None:
    plan = plan_demo(PLAY, FOR_WORK, env_file=None)
    assert plan.settings.home == Path("/srv/stock/demo")
    assert plan.settings == load(plan.environ, env_file=None), "the service is told the same"
    for name in (
        "database_url",
        "secret_key",
        "owner_email",
        "smtp_user",
        "smtp_password",
        "bounce_imap_host",
    ):
        assert getattr(plan.settings, name) is None
    assert (plan.settings.smtp_host, plan.settings.smtp_security) == ("127.0.0.1", "none")
    assert plan.settings.public_url == f"http://127.0.0.1:{plan.settings.port}"
    assert not [name for name, text in plan.environ.items() if "example.com" in text or "hush" in text]
    assert {"DATABASE_URL", "STOCKWRIGHT_SECRET_KEY", "STOCKWRIGHT_SMTP_HOST"} <= set(plan.unused)


def test_nothing_that_leads_out_is_inherited_from_a_file_either(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text("\n".join(f"{name}={text}" for name, text in FOR_WORK.items()))
    plan = plan_demo(PLAY, {}, env_file=file)
    assert plan.settings.home == Path("/srv/stock/demo")
    assert plan.settings.database_url is None
    assert plan.settings.bounce_imap_host is None
    assert load(plan.environ, env_file=file) == plan.settings, "the service reads the same file"
    assert "DATABASE_URL" in plan.unused


def test_every_setting_of_mail_is_left_alone_or_set_by_the_demo() -> None:
    environ = plan_demo(PLAY, {}).environ
    mail = [name for name in Settings.model_fields if name.startswith(("smtp_", "bounce_"))]
    assert len(mail) > 10
    assert [name for name in mail if variable(name) not in environ] == []


def test_a_database_address_that_cannot_be_used_does_not_stop_the_demo() -> None:
    assert plan_demo(PLAY, {"DATABASE_URL": "notaurl"}).unused == ("DATABASE_URL",)


def test_no_reconciliation_falls_into_the_story() -> None:
    assert plan_demo(PLAY, {}).settings.reconcile_every_s == 30
    assert plan_demo(SCRIPT, {}).settings.reconcile_every_s == 86_400
    assert plan_demo(SCRIPT, {"STOCKWRIGHT_RECONCILE_EVERY_S": "30"}).settings.reconcile_every_s == 86_400
    assert plan_demo(SCRIPT, {"STOCKWRIGHT_DEAD_TIME_S": "60"}).settings.dead_time_s == 60


def line(text: str) -> HistoryLine:
    return HistoryLine(at=datetime(2026, 11, 20, 9, 14, tzinfo=UTC), text=text, run_id=None)


def test_a_ledger_is_shown_in_few_lines_of_a_terminals_width() -> None:
    assert shortened([line("adopted"), line("sold")], limit=4) == ["09:14:00  adopted", "09:14:00  sold"]
    told = shortened([line(f"sale {n}") for n in range(30)], limit=5)
    assert told == [
        "09:14:00  sale 0",
        "09:14:00  sale 1",
        "          ... 26 lines more; `stock history` tells all",
        "09:14:00  sale 28",
        "09:14:00  sale 29",
    ]
    wrapped = shortened([line("corrected " * 30)], limit=9)
    assert len(wrapped) == 4
    assert max(map(len, wrapped)) <= 105
