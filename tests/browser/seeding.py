"""A site with something to see on every page, for screenshots, accessibility and phone width.

Who adds a page with a placeholder in its `samples` fills it here.
"""

from datetime import timedelta

from stockwright import access
from stockwright.deps import Deps
from stockwright.store import shops
from stockwright.store.audit import Actor, audit
from stockwright.store.shops import NewShop
from tests.browser.automated import fill_automations
from tests.browser.mails import fill_mail
from tests.browser.offered import fill_offers
from tests.browser.people import fill_people
from tests.browser.site import RunningSite
from tests.browser.stocks import add_automation, fill_stock

ANN = Actor(user_id=None, name="ann")
_LONG = "a very long name of a token that somebody did not want to shorten: warehouse-report-2026-november"


def fill(site: RunningSite) -> dict[str, str]:
    """Sample data; the values of the placeholders in the `samples` of sections."""
    site.add_user()
    site.add_user("berta.von-langenfeld@warehouse.example.com", "another four plain words")
    shop_id = site.add_shop()
    site.run(_more)
    add_automation(site, shop_id)
    _busy_days(site, shop_id)
    _troubles(site, shop_id)
    return {
        "shop": str(shop_id),
        **fill_automations(
            site, shop_id
        ),  # first: its worker would let go of stocks that the shop does not have
        **fill_stock(site, shop_id),
        **fill_mail(site, shop_id),
        **fill_people(site, shop_id),
        **fill_offers(site, shop_id),
    }


async def _more(deps: Deps) -> None:
    now = deps.clock()
    async with deps.database.connection() as conn, conn.transaction():
        await access.add_token(conn, ANN, name=_LONG, scope="read", at=now - timedelta(days=3))
        await access.add_token(conn, ANN, name="till", scope="write", at=now - timedelta(hours=2))
        quiet = NewShop(
            domain="quiet-corner.myshopify.com",
            api_url="https://quiet-corner.myshopify.com",
            auth_mode="client_credentials",
            client_id="0a1b2c3d",
            secrets=b"sealed",
        )
        shop_id = await shops.add(conn, quiet)
        await shops.set_status(conn, shop_id, "stopped", reason="ann paused it.")
        for minute in range(60):
            detail = {"on_unknown": "certain", "was": "settle"}
            at = now - timedelta(minutes=minute)
            await audit(conn, ANN, "shop.change", "prints.myshopify.com", detail, at=at)


def _busy_days(site: RunningSite, shop_id: int) -> None:
    """Thirty days as a shop has them: busy at noon, quiet at night, one sale."""
    site.execute(
        """
        insert into hourly (shop_id, what, hour, count, last_at)
        select %s, measure.what, h,
               greatest(0, round(measure.size * (1.2 + sin((extract(hour from h) - 8) * pi() / 12))
                   * (1 + 0.4 * sin(extract(day from h))) * case when extract(day from h) = 13 then 3 else 1 end))::bigint,
               least(h + interval '59 minutes', now() - interval '100 seconds')
        from generate_series(date_trunc('hour', now()) - interval '30 days', date_trunc('hour', now()), interval '1 hour') h
        cross join (values ('events', 40), ('webhooks', 35), ('done:correct', 14), ('done:publish', 0.6), ('mails', 0.4))
            as measure (what, size)
        """,
        shop_id,
    )


def _troubles(site: RunningSite, shop_id: int) -> None:
    site.execute(
        """
        insert into runs (shop_id, run_id, automation_id, kind, subject, state, because, error, requests, started_at, finished_at)
        select %s, 'run_00sample' || n, 'aut_sample', 'sync-across-variants', '*', 'failed',
               'The options name what the shop does not have.',
               '{"message": "There is no location “Warehouse Est” in this shop. Did you mean “Warehouse East”?",'
               ' "available_location_names": ["Toronto", "Warehouse East"]}', 1,
               now() - n * interval '1 hour', now() - n * interval '1 hour' + interval '180 milliseconds'
        from generate_series(1, 3) n
        """,
        shop_id,
    )
