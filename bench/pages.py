"""How long the admin site's pages take with a million runs, 200,000 shared stocks and 200,000 subscribers stored.

One real product is adopted and sold; its stock, history and runs are then copied within the database, each copy with
items and ids of its own, so that rows have the size and shape of real ones.
"""

import re
import time
from collections.abc import Mapping
from contextlib import closing

import httpx2
import psycopg

from bench.report import Figure, Result, percentile
from bench.setting import settle, synced_shop
from tests.real_processes import RunningShop, Service

NAME = "pages"
_RUNS, _POOLS, _MAILS, _PEOPLE = 1_000_000, 200_000, 100_000, 200_000
_QUICK = 100  # so many times fewer
_WARM, _TIMES, _QUICK_TIMES = 3, 40, 10
_GOAL_MS = 100.0
_USER, _PASSWORD = "bench", "four plain words here"

_LOAD = """
create temp table one_pool as select * from pools limit 1;
create temp table one_run as select * from runs where kind = 'keep-in-sync-within-products' and subject <> '*' order by requests desc limit 1;
insert into pools (shop_id, pool_id, automation_id, product_id, location_id, title, version, state, stock, status, reason,
                   in_doubt, assumed, wake_at, updated_at)
select shop_id, 'pool_' || lpad(n::text, 9, '0'), automation_id, 'gid://shopify/Product/' || 9000000000 + n, location_id,
       (array['Harbour','Lighthouse','Winter','Night','Garden','Tower','Bridge','Meadow'])[1 + n %% 8] || ' '
       || (array['at dawn','study','birches','tram','in spring','of stone','over water','with sheep'])[1 + n / 8 %% 8]
       || ' no. ' || n,
       version, replace(state::text, 'InventoryItem/', 'InventoryItem/' || n || '0')::jsonb, stock,
       case when n %% 2000 = 0 then 'frozen' else status end, reason, false, case when n %% 997 = 0 then 1 else 0 end, null,
       now() - n * interval '7 seconds'
from one_pool, generate_series(1, %(pools)s) n;
insert into pool_members (shop_id, item_id, location_id, pool_id, title, expected)
select m.shop_id, replace(m.item_id, 'InventoryItem/', 'InventoryItem/' || n || '0'), m.location_id,
       'pool_' || lpad(n::text, 9, '0'), m.title, m.expected
from pool_members m join one_pool o on m.pool_id = o.pool_id, generate_series(1, %(pools)s) n;
insert into journal (shop_id, pool_id, seq, at, kind, data, run_id)
select j.shop_id, 'pool_' || lpad(n::text, 9, '0'), j.seq, j.at, j.kind,
       replace(j.data::text, 'InventoryItem/', 'InventoryItem/' || n || '0')::jsonb, j.run_id
from journal j join one_pool o on j.pool_id = o.pool_id, generate_series(1, %(pools)s) n;
insert into runs (shop_id, run_id, automation_id, kind, subject, title, state, because, error, plan, input, progress, requests,
                  started_at, finished_at)
select shop_id, 'run_00' || lpad(n::text, 18, '0'), automation_id, kind, 'gid://shopify/Product/' || 9000000000 + n %% 200000,
       'Harbour no. ' || n, case when n %% 500 = 0 then 'failed' else 'succeeded' end, because,
       case when n %% 500 = 0 then '{"message": "Shopify refused the correction."}'::jsonb end, plan, input, progress, requests,
       now() - interval '89 days' * (1 - n::float / %(runs)s), now() - interval '89 days' * (1 - n::float / %(runs)s)
from one_run, generate_series(1, %(runs)s) n;
insert into effects (shop_id, effect_id, run_id, automation_id, subject, kind, payload, state, created_at, finished_at)
select shop_id, 'eff_00' || lpad(n::text, 18, '0'), 'run_00' || lpad(n::text, 18, '0'), automation_id, subject, 'correct',
       '{"rows": [{"level": "Listing 1", "from": 12, "to": 10}]}', 'done', started_at, finished_at
from one_run, generate_series(1, %(runs)s, 4) n;
insert into messages (shop_id, message_id, key, kind, recipient, subject, text, html, state, reason, created_at, sent_at)
select shop_id, 'msg_00' || lpad(n::text, 18, '0'), 'bench:' || n, 'staff_back_in_stock', 'staff' || n %% 50 || '@example.com',
       'Back in stock: Harbour no. ' || n, repeat('A line of text. ', 40), repeat('<p>A line of HTML.</p>', 100),
       case when n %% 100 = 0 then 'failed' else 'sent' end, '', now() - n * interval '40 seconds', now() - n * interval '40 seconds'
from one_run, generate_series(1, %(mails)s) n;
insert into subscribers (shop_id, subscriber_id, email, address_hash, product_id, variant_id, product_title, variant_title,
                         offer_id, state, delivered, source, locale, quantity, created_at, ended_at, notified_at)
select shop_id, 'sub_00' || lpad(n::text, 18, '0'), 'shopper' || n || '@example.com', sha256(n::text::bytea),
       'gid://shopify/Product/' || n %% 400, 'gid://shopify/ProductVariant/' || n %% 1600, 'Harbour no. ' || n %% 400,
       'Size ' || n %% 4, case when n %% 3 = 0 then 'off_' || n %% 7 else '' end, s.state, case when s.state in ('sent', 'failed') then s.state else '' end,
       'proxy', (array['en', 'fr', 'de'])[1 + n %% 3], 1 + n %% 3, now() - n * interval '40 seconds',
       case when s.state <> 'pending' then now() end, case when s.state = 'sent' then now() end
from one_run, generate_series(1, %(people)s) n
cross join lateral (
    select (array['pending', 'pending', 'pending', 'pending', 'pending', 'pending', 'sent', 'failed', 'unsubscribed', 'cancelled'])[1 + n %% 10] state
) s;
insert into subscriber_steps (shop_id, subscriber_id, at, what) select shop_id, subscriber_id, created_at, 'signed_up' from subscribers;
insert into variant_prices (shop_id, variant_id, price, currency, seen_at)
select shop_id, 'gid://shopify/ProductVariant/' || n, 10 + n %% 90, 'CAD', now() from one_run, generate_series(0, 1599) n;
insert into hourly (shop_id, what, hour, count, last_at)
select shop_id, what, h, 400, h from one_run, unnest(array['events', 'webhooks', 'done:correct', 'done:publish', 'mails']) what,
       generate_series(date_trunc('hour', now()) - interval '90 days', date_trunc('hour', now()), interval '1 hour') h
on conflict do nothing
"""


def run(*, quick: bool) -> Result:
    """Load, then time each page over HTTP as a signed-in person."""
    by = _QUICK if quick else 1
    sizes = {"runs": _RUNS // by, "pools": _POOLS // by, "mails": _MAILS // by, "people": _PEOPLE // by}
    with synced_shop(1, rate=2000.0) as (shop, service):
        _sell_once(shop, service)
        loaded_s = _load(service, sizes)
        with closing(_signed_in(service)) as browser:
            fresh_ms = _times_ms(browser, "/", _QUICK_TIMES)
            _settle_tables(service)
            times = _QUICK_TIMES if quick else _TIMES
            measured = {
                name: _times_ms(browser, path, times) for name, path in _addresses(service, sizes).items()
            }
    figures = [Figure(name="Home right after the load, p50", value=percentile(fresh_ms, 0.5), unit="ms")]
    for name, taken in measured.items():
        figures.append(Figure(name=f"{name}, p50", value=percentile(taken, 0.5), unit="ms", at_most=_GOAL_MS))
        figures.append(Figure(name=f"{name}, p99", value=percentile(taken, 0.99), unit="ms"))
    conditions = f"{sizes['runs']:,} runs, {sizes['pools']:,} shared stocks, {sizes['mails']:,} mails, {sizes['people']:,} subscribers, loaded in {loaded_s:.0f} s"
    return Result(name=NAME, title="pages of the admin site", conditions=conditions, figures=tuple(figures))


def _sell_once(shop: RunningShop, service: Service) -> None:
    shop.sell((shop.state()["products"][0]["variants"][0]["id"], 2))
    settle(shop, service)


def _load(service: Service, sizes: Mapping[str, int]) -> float:
    begun = time.monotonic()
    with psycopg.connect(service.dsn(), autocommit=True) as conn:
        for statement in _LOAD.split(";\n"):
            conn.execute(statement, sizes)  # type: ignore[arg-type]
    return time.monotonic() - begun


def _settle_tables(service: Service) -> None:
    """What autovacuum does within a minute or two of such a load."""
    with psycopg.connect(service.dsn(), autocommit=True) as conn:
        conn.execute("vacuum analyze")


def _signed_in(service: Service) -> httpx2.Client:
    service.command(
        "user", "add", _USER, "--password-env", "BENCH_PASSWORD", secrets={"BENCH_PASSWORD": _PASSWORD}
    )
    browser = httpx2.Client(base_url=service.url, trust_env=False, timeout=60.0)
    found = re.search(r'name="_csrf" value="(\w+)"', browser.get("/sign-in").text)
    assert found is not None, "the sign-in page has a form"
    answer = browser.post("/sign-in", data={"_csrf": found[1], "name": _USER, "password": _PASSWORD})
    assert answer.status_code == 303, answer.text
    return browser


def _times_ms(browser: httpx2.Client, path: str, times: int) -> list[float]:
    taken = []
    for turn in range(_WARM + times):
        begun = time.perf_counter()
        answer = browser.get(path)
        if answer.status_code != 200:
            raise RuntimeError(f"{path} answered {answer.status_code}")
        if turn >= _WARM:
            taken.append((time.perf_counter() - begun) * 1000)
    return taken


def _addresses(service: Service, sizes: Mapping[str, int]) -> dict[str, str]:
    """Every list and every page of one thing, and the searches and filters that could be slow."""
    with psycopg.connect(service.dsn()) as conn:
        row = conn.execute("select shop_id, automation_id from automations limit 1").fetchone()
    assert row is not None, "the service has an automation"
    shop, automation = row
    pool, run, message = (
        f"pool_{sizes['pools'] // 2:09}",
        f"run_00{sizes['runs'] // 2:018}",
        f"msg_00{sizes['mails'] // 2:018}",
    )
    return {
        "Home": "/",
        "Automations": "/automations",
        "Choose an automation": "/automations/add",
        "One automation": f"/automations/{automation}",
        "Runs": "/runs",
        "Runs that failed": "/runs?state=failed",
        "Runs of one automation": f"/runs?automation={automation}",
        "Runs, half-way back": f"/runs?before={run}",
        "Runs, a search with hits": "/runs?q=harbour",
        "Runs, a search without": "/runs?q=nothing+is+called+this",
        "One run": f"/runs/{run}",
        "Stock": "/stock",
        "Stock that is frozen": "/stock?state=frozen",
        "Stock to be reviewed": "/stock?state=assumed",
        "Stock, half-way on": f"/stock?before=o:{pool}",
        "Stock, a common word": "/stock?product=harbour",
        "Stock, words of one title": f"/stock?product=dawn+{sizes['pools'] // 2}",
        "Stock, a search without a hit": "/stock?product=zeppelin",
        "Stock of one product": f"/stock?product={9_000_000_000 + sizes['pools'] // 2}",
        "One stock": f"/stock/{pool}",
        "Mail": "/mail/messages",
        "Mail that failed": "/mail/messages?state=failed",
        "Mail to one address": "/mail/messages?to=staff7@example.com",
        "One mail": f"/mail/messages/{message}",
        "Mail templates": "/mail/templates",
        "One template": f"/mail/templates/{shop}/staff_back_in_stock",
        "Mail settings": f"/mail/settings/{shop}",
        "Subscribers": "/subscribers",
        "Subscribers who could not be told": "/subscribers?status=Failed",
        "Subscribers, half-way back": f"/subscribers?before=sub_00{sizes['people'] // 2:018}",
        "Subscribers of one variant": "/subscribers?variant=7",
        "Subscribers of one product who were told": "/subscribers?product=7&status=Sent",
        "Subscribers of one offer": "/subscribers?offer=off_3",
        "Subscribers in a language that nobody has": "/subscribers?locale=xx",
        "Subscribers, a common beginning of an address": "/subscribers?q=shopper1",
        "Subscribers, one address": f"/subscribers?q=shopper{sizes['people'] // 2}@",
        "Subscribers, a search without a hit": "/subscribers?q=zeppelin",
        "Cancelling everybody, the question": "/subscribers/bulk?do=cancel&all=1",
        "One subscriber": f"/subscribers/sub_00{sizes['people'] // 2:018}",
        "Demand": "/demand",
        "Demand by revenue": "/demand?order=revenue",
        "Privacy": "/settings/privacy",
        "Shops": "/settings/shops",
        "One shop": f"/settings/shops/{shop}",
        "Users": "/settings/users",
        "API tokens": "/settings/tokens",
        "Audit log": "/settings/audit",
        "Retention": "/settings/retention",
        "My account": "/settings/account",
    }
