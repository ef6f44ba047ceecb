"""The base that pages stand on: forms, tables, flashes, problem pages, statistics, and what the command line adds."""

import asyncio
import json
import re
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

import httpx2
import pytest
from pydantic import BaseModel, Field
from starlette.datastructures import FormData

from stockwright.automations import KINDS
from stockwright.model import NewEvent, Source
from stockwright.store import audit, inbox, sessions, stats, tokens, users
from stockwright.store.audit import Actor
from stockwright.store.ids import new_id
from stockwright.web.admin.forms import fields, form_values, read_model
from stockwright.web.admin.home import SPANS, chart, starts, troubles
from stockwright.web.admin.rendering import share, span
from stockwright.web.admin.tables import csv_response
from tests.browser.automated import install
from tests.browser.site import PASSWORD, RunningSite, running_site
from tests.commands import run_command
from tests.journey.test_admin_security import Visitor
from tests.real_processes import Service, running_service, temporary_home
from tests.store.rows import add_shop, open_pool

NOW = datetime(2026, 11, 20, 12, 30, tzinfo=UTC)


@pytest.fixture
def site(database: str) -> Iterator[RunningSite]:
    with running_site(database) as running:
        running.add_user()
        yield running


# --- forms ------------------------------------------------------------------------------------------------


class Sample(BaseModel):
    """One field of every kind."""

    title: str = Field(title="Title", min_length=1, max_length=20)
    note: str = Field(default="", max_length=5000)
    count: int = Field(default=1, ge=1, le=9)
    share: float | None = None
    switched: bool = False
    mode: Literal["once", "sum"] = "once"
    names: tuple[Annotated[str, Field(max_length=5)], ...] = ()


def test_every_type_of_field_has_its_kind() -> None:
    found = {field.name: field for field in fields(Sample, {})}
    assert {name: field.kind for name, field in found.items()} == {
        "title": "text", "note": "textarea", "count": "number", "share": "number",
        "switched": "boolean", "mode": "select", "names": "list",
    }  # fmt: skip
    assert found["title"].required
    assert (found["count"].minimum, found["count"].maximum, found["count"].value) == (1, 9, "1")
    assert found["mode"].choices == ["once", "sum"]


def test_a_list_with_few_suggestions_is_ticked_and_strangers_stay_visible() -> None:
    (names,) = [
        field
        for field in fields(Sample, {"names": ["Rome", "Bern"]}, suggestions={"names": ["Bern", "Oslo"]})
        if field.name == "names"
    ]
    assert names.kind == "checks"
    assert names.unlisted == ["Rome"]


def test_a_form_becomes_a_model_or_errors_in_words_at_each_field() -> None:
    good = FormData([("title", " A "), ("count", "3"), ("share", ""), ("switched", "on"), ("mode", "sum"),
                     ("names", "x"), ("names", ""), ("names", "y\nx")])  # fmt: skip
    filled = read_model(Sample, good)
    assert filled.model == Sample(title="A", count=3, share=None, switched=True, mode="sum", names=("x", "y"))
    bad = read_model(Sample, FormData([("title", ""), ("count", "12"), ("mode", "x"), ("names", "too long")]))
    assert bad.model is None
    assert bad.errors["title"] == "Fill this in."
    assert bad.errors["count"] == "Give 9 or less."
    assert bad.errors["mode"].startswith("Choose one of")
    assert bad.errors["names"] == "Use at most 5 characters."
    assert bad.values["names"] == ["too long"]


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_the_options_of_every_automation_survive_their_form(kind: str) -> None:
    """What a form shows, sent back unchanged, means the same."""
    model = KINDS[kind].options
    shown = fields(model, {})
    sent = []
    for field in shown:
        match field.kind:
            case "boolean":
                sent += [(field.name, "on")] if field.value else []
            case "list":
                sent += [(field.name, text) for text in field.value]
            case _:
                sent.append((field.name, field.value))
    again = fields(model, form_values(model, FormData(sent)))
    assert [(field.name, field.value) for field in again] == [(field.name, field.value) for field in shown]


def test_forms_that_are_too_large_or_no_forms_are_refused(site: RunningSite) -> None:
    ann = Visitor(site)
    ann.sign_in()
    assert ann.client.post("/settings/tokens/add", data={"name": "x" * 300_000}).status_code == 413
    assert ann.client.post("/settings/tokens/add", json={"name": "x"}).status_code == 400
    assert ann.client.post("/settings/tokens/add", content=iter([b"a=b"])).status_code == 413


# --- answers ----------------------------------------------------------------------------------------------


def test_a_message_is_said_once_on_the_next_page(site: RunningSite) -> None:
    ann = Visitor(site)
    ann.sign_in()
    number = site.add_shop()
    token = ann.token()
    ann.client.post(f"/settings/shops/{number}/pause", data={"_csrf": token})
    assert "is paused. Nothing is read" in ann.client.get(f"/settings/shops/{number}").text
    assert "is paused. Nothing is read" not in ann.client.get(f"/settings/shops/{number}").text


def test_what_is_not_there_is_told_with_a_number_for_the_log(site: RunningSite) -> None:
    ann = Visitor(site)
    ann.sign_in()
    for path in ("/nope", "/settings/shops/999", "/settings/shops/x", "/settings/tokens/x/revoke"):
        answer = ann.client.get(path)
        assert answer.status_code == 404, path
        assert f"request {answer.headers['x-request-id']}" in answer.text
    assert ann.client.get("/sign-out").status_code == 405


def test_a_fault_of_ours_is_a_page_with_the_number_that_the_log_has(site: RunningSite, capfd) -> None:
    ann = Visitor(site)
    ann.sign_in()
    site.execute("alter table audit_log rename to somewhere_else")
    answer = ann.client.get("/settings/audit")
    assert answer.status_code == 500
    assert answer.headers["x-request-id"] in answer.text
    assert "audit_log" not in answer.text
    out, err = capfd.readouterr()
    assert answer.headers["x-request-id"] in out + err


def test_a_database_that_is_away_is_told_as_such(site: RunningSite) -> None:
    ann = Visitor(site)
    ann.sign_in()
    site.loop.call_soon_threadsafe(lambda: asyncio.ensure_future(site.deps.database.close()))
    for _ in range(50):
        answer = ann.client.get("/settings/users")
        if answer.status_code == 503:
            break
    assert answer.status_code == 503
    assert "The database does not answer" in answer.text


def test_styles_and_scripts_are_kept_for_ever_under_their_hash(site: RunningSite) -> None:
    visitor = Visitor(site)
    page = visitor.client.get("/sign-in").text
    address = page.split('rel="stylesheet" href="')[1].split('"')[0]
    answer = visitor.client.get(address)
    assert answer.status_code == 200
    assert "immutable" in answer.headers["cache-control"]
    assert "immutable" not in visitor.client.get("/static/admin.css").headers["cache-control"]
    assert visitor.client.get("/static/../admin/site.py").status_code == 404


def test_a_csv_file_has_a_header_and_plain_numbers() -> None:
    rows = [{"name": "-1+1", "count": -3, "at": NOW}, {"name": 'a "b", c', "count": None}]
    text = bytes(csv_response("x", rows, header=("name", "count", "at")).body).decode()
    assert text.splitlines() == ["name,count,at", "'-1+1,-3,2026-11-20T12:30:00+00:00", '"a ""b"", c",,']


def test_spans_and_shares_read_well() -> None:
    assert [span(seconds) for seconds in (0, 1, 59, 60, 7200, 90_000)] == [
        "0 seconds", "1 second", "59 seconds", "1 minute", "2 hours", "1 day",
    ]  # fmt: skip
    assert [share(1, 0), share(5, 4), share(-1, 4), share(1, 4)] == [0, 100, 0, 25]


# --- statistics -------------------------------------------------------------------------------------------


def test_hours_are_counted_from_rows_and_again_without_harm(database: str) -> None:
    async def story() -> None:
        async with open_pool(database) as pool, pool.connection() as conn:
            shop_id = await add_shop(conn)
            now = datetime.now(UTC)
            for source, topic in ((Source.SHOPIFY, "shopify/products/update"), (Source.SWEEP, "a/b/c")):
                event = NewEvent(
                    shop_id=shop_id, event_id=new_id("evt", now), topic=topic, payload={}, source=source,
                    webhook_id="w" if source is Source.SHOPIFY else None,
                )  # fmt: skip
                await inbox.receive(conn, [event])
            await conn.execute(
                "insert into effects (shop_id, effect_id, run_id, automation_id, subject, kind, payload, state, finished_at)"
                " values (%s, 'e1', 'r', 'a', '*', 'correct', '{}', 'done', now()), (%s, 'e2', 'r', 'a', '*', 'correct', '{}', 'failed', now())",
                (shop_id, shop_id),
            )
            for _ in range(2):
                await stats.count_hours(conn, now=now)
            rows = await stats.series(
                conn,
                bucket="hour",
                since=now - timedelta(hours=3),
                zone="UTC",
                whats=["events", "webhooks", "done:correct"],
            )
            assert {row.what: row.count for row in rows} == {"events": 2, "webhooks": 1, "done:correct": 1}
            (shop,) = await stats.shops_now(conn, now=now + timedelta(seconds=1))
            assert shop.last_webhook_at is not None
            assert now - shop.last_webhook_at < timedelta(minutes=1)

    asyncio.run(story())


def test_days_begin_at_midnight_of_the_shop_also_when_clocks_change() -> None:
    zone, now = ZoneInfo("America/New_York"), datetime(2026, 11, 10, 12, tzinfo=UTC)
    month = next(one for one in SPANS if one.key == "month")
    found = starts(month, now, zone)
    assert len(found) == 30
    assert {at.hour for at in found} == {0}
    assert {at.astimezone(UTC).hour for at in found} == {4, 5}
    drawn = chart(month, [stats.Count(what="events", at=found[3].astimezone(UTC), count=7)], now, zone)
    assert [row.counts[0] for row in drawn.rows] == [0, 0, 0, 7] + [0] * 26


def shop_now(**changes: object) -> stats.ShopNow:
    values = {
        "shop_id": 1, "domain": "a.myshopify.com", "name": "A", "status": "active", "status_reason": "",
        "timezone": "UTC", "created_at": NOW - timedelta(days=9), "last_webhook_at": NOW, "backlog": 0, "lag_s": 0.0, "failed_runs": 0,
        "pools": 1, "frozen": 0, "in_doubt": 0, "assumed": 0, "budget_points": 1.0, "budget_capacity": 1.0,
        "budget_blocked": False, "automations": 1, "automations_enabled": 1, "webhook_problems": 0,
        "people": 0, "privacy_requests": 0, "privacy_due_at": None,
    }  # fmt: skip
    return stats.ShopNow(**{**values, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changes", "level", "said"),
    [
        ({"status": "paused", "status_reason": "401"}, "bad", "Nothing is done for this shop: 401"),
        ({"frozen": 1}, "bad", "1 stock is frozen"),
        ({"lag_s": 300.0}, "bad", "waited for 5 minutes"),
        ({"failed_runs": 2}, "warn", "2 runs failed"),
        ({"webhook_problems": 1}, "warn", "1 kind of change"),
        ({"last_webhook_at": None}, "warn", "No webhook has ever come"),
        (
            {"last_webhook_at": None, "created_at": NOW - timedelta(hours=1)},
            "info",
            "No webhook has come yet",
        ),
        ({"last_webhook_at": NOW - timedelta(days=2)}, "warn", "for a day"),
        ({"budget_blocked": True}, "warn", "asked us to wait"),
        ({"offers_failing": 2}, "bad", "2 offers could not follow the schedule"),
        ({"assumed": 1}, "info", "answer was lost"),
        ({"automations_enabled": 0}, "info", "No automation is switched on"),
        ({"status": "stopped", "status_reason": "ann paused it.", "frozen": 2}, "info", "ann paused it."),
    ],
)
def test_each_trouble_is_told_with_its_weight(changes: dict[str, object], level: str, said: str) -> None:
    (found,) = troubles(shop_now(**changes), NOW)
    assert found.level == level
    assert said in found.text


def test_home_says_that_nobody_can_sign_up_while_the_service_has_no_address(database: str) -> None:
    with running_site(database, public_url=None) as site:
        site.add_user()
        shop_id = site.add_shop()
        ann = Visitor(site)
        assert ann.sign_in().status_code == 303
        assert "Nobody can sign up" not in ann.client.get("/").text
        install(site, shop_id, "notify-back-in-stock", options={"double_opt_in": True})
        home = ann.client.get("/").text
        assert "Nobody can sign up to be told of a restock" in home
        assert "Set STOCKWRIGHT_PUBLIC_URL to the https address" in home
        site.execute("update automations set options = '{}'")
        assert "Nobody is told of a restock" in ann.client.get("/").text


def test_a_shop_without_trouble_is_well() -> None:
    assert troubles(shop_now(), NOW) == []


# --- rows -------------------------------------------------------------------------------------------------


def test_the_last_user_cannot_be_removed(database: str) -> None:
    async def story() -> None:
        async with open_pool(database) as pool, pool.connection() as conn:
            for no in (1, 2):
                await users.add(conn, user_id=f"u{no}", name=f"u{no}", password_hash="x", created_at=NOW)
            assert await users.remove(conn, "u1")
            assert not await users.remove(conn, "u2")
            assert not await users.add(conn, user_id="u3", name="U2 ", password_hash="x", created_at=NOW)

    asyncio.run(story())


def test_a_revoked_token_is_not_found_any_more_and_use_is_noted(database: str) -> None:
    async def story() -> None:
        async with open_pool(database) as pool, pool.connection() as conn:
            await tokens.add(
                conn, token_id="t", name="till", scope="read", token_hash=b"h", created_by="ann", at=NOW
            )
            await tokens.use(conn, "t", at=NOW)
            found = await tokens.find(conn, b"h")
            assert found is not None and found.last_used_at == NOW
            assert await tokens.revoke(conn, "t", at=NOW)
            assert not await tokens.revoke(conn, "t", at=NOW)
            assert await tokens.find(conn, b"h") is None

    asyncio.run(story())


def test_the_audit_log_is_read_by_kind_and_page(database: str) -> None:
    async def story() -> None:
        async with open_pool(database) as pool, pool.connection() as conn:
            actor = Actor(user_id="u", name="ann")
            for no in range(5):
                at = NOW + timedelta(seconds=no)
                await audit.audit(
                    conn, actor, "shop.add" if no % 2 else "user.add", str(no), {"no": no}, at=at
                )
            first = await audit.entries(conn, about="user", limit=2)
            rest = await audit.entries(conn, about="user", before=first[-1].entry_id, limit=2)
            assert [entry.target for entry in (*first, *rest)] == ["4", "2", "0"]
            assert first[0].detail == {"no": 4}

    asyncio.run(story())


def test_sessions_beyond_a_limit_are_deleted(database: str) -> None:
    async def story() -> None:
        async with open_pool(database) as pool, pool.connection() as conn:
            await users.add(conn, user_id="u", name="u", password_hash="x", created_at=NOW)
            for no, age in enumerate((0, 20)):
                await sessions.add(
                    conn, token_hash=bytes([no]), session_id=f"s{no}", user_id="u", address="", agent="",
                    at=NOW - timedelta(hours=age),
                )  # fmt: skip
            limits = sessions.Alive(
                seen_after=NOW - timedelta(hours=12), created_after=NOW - timedelta(days=7)
            )
            await sessions.delete_stale(conn, limits)
            assert await sessions.find(conn, bytes([1]), limits) is None
            assert [one.session_id for one in await sessions.list_of(conn, "u", limits)] == ["s0"]

    asyncio.run(story())


# --- from the command line ----------------------------------------------------------------------------------


def command(service: Service, *arguments: str, **environ: str) -> "subprocess.CompletedProcess[str]":
    return run_command(*arguments, env={**service.environ, **environ}, cwd=service.home)


def test_users_and_tokens_are_made_and_revoked_from_the_command_line(database: str) -> None:
    with temporary_home() as home:
        service = Service(home=home, settings={"DATABASE_URL": database})
        weak = command(service, "user", "add", "ann", "--password-env", "PW", PW="ann ann ann ann")
        assert weak.returncode == 1
        assert "Do not use the name" in weak.stderr
        added = command(service, "user", "add", "ann", "--password-env", "PW", PW=PASSWORD)
        assert added.returncode == 0, added.stderr
        assert "Sign in at http" in added.stdout
        twice = command(service, "user", "add", "ANN", "--password-env", "PW", PW=PASSWORD)
        assert (twice.returncode, "already" in twice.stderr) == (1, True)
        changed = command(service, "user", "password", "ann", "--password-env", "PW", PW=PASSWORD + "!")
        assert "new password" in changed.stdout
        assert [row["name"] for row in json.loads(command(service, "user", "list", "--json").stdout)] == [
            "ann"
        ]

        token = command(service, "token", "create", "till", "--write").stdout.strip()
        assert token.startswith("stockwright_")
        (row,) = json.loads(command(service, "token", "list", "--json").stdout)
        assert (row["name"], row["scope"], row["created_by"]) == ("till", "write", "command line")
        assert command(service, "token", "revoke", row["id"]).returncode == 0
        assert command(service, "token", "revoke", row["id"]).returncode == 1


def test_the_first_start_prints_a_link_that_makes_the_first_user_and_the_next_one_does_not() -> None:
    with running_service() as service:
        printed = re.search(r"http://[\d.:]+(/setup/[\w-]+)", service.log.read_text())
        assert printed is not None
        with httpx2.Client(base_url=service.url, trust_env=False) as client:
            token = re.search(r'name="_csrf" value="(\w+)"', client.get(printed[1]).text)
            assert token is not None
            form = {"_csrf": token[1], "name": "ann", "password": PASSWORD, "again": PASSWORD}
            assert client.post(printed[1], data=form).status_code == 303
            assert "Connect your first shop" in client.get("/").text
            assert client.get(printed[1]).status_code == 404
        service.stop()
        service.start()
        assert service.log.read_text().count("/setup/") == 1
