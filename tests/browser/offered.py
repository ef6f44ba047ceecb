"""Offers for pages to show: one of each status, with products of the bundled shop, people and counts."""

from datetime import timedelta

from shopify_emulator import VariantSpec
from stockwright import notify, offer_desk
from stockwright.deps import Deps
from stockwright.model import ShopId
from stockwright.notify.offers import Mode, Terms, Verb
from stockwright.store.offers import OfferRow
from tests.browser.site import RunningSite

_LONG = "Anorak “Nordwind” – limited edition with recycled lining, second batch, made to order in Flensburg"


def add_goods(site: RunningSite, title: str, **levels: int) -> str:
    """A product of the bundled shop with a variant per name; its gid."""

    async def work(_deps: Deps) -> str:
        specs = [VariantSpec(title=name, levels=level, policy="CONTINUE") for name, level in levels.items()]
        gid: str = site.shop.add_product(title, variants=specs, tags=()).gid
        return gid

    return site.run(work)


def enable_notify(site: RunningSite, shop_id: int) -> None:
    """As far as offers are concerned, the automation of the feature is enabled."""
    site.execute(
        "insert into automations (shop_id, automation_id, kind, name, options, topics, enabled)"
        " select %s, 'aut_notify', %s, 'Notify Me', '{}', '{}', true"
        " where not exists (select from automations where shop_id = %s and kind = %s and enabled)",
        shop_id,
        notify.KIND,
        shop_id,
        notify.KIND,
    )


def make_offer(
    site: RunningSite, shop_id: int, terms: Terms, *items: str, deeds: tuple[Verb, ...] = ()
) -> OfferRow:
    """An offer as people make it, and what they do with it."""

    async def work(deps: Deps) -> OfferRow:
        row = await offer_desk.create(deps, ShopId(shop_id), terms, items=items)
        for verb in deeds:
            row = await offer_desk.do(deps, row, verb)
        return row

    return site.run(work)


def fill_offers(site: RunningSite, shop_id: int) -> dict[str, str]:
    """Offers in every status; the values of the placeholders `offer` and `offer_product`."""
    enable_notify(site, shop_id)
    coat = add_goods(site, _LONG, **{"Black / S": 0, "Black / M": -3, "Sand / S": 12})
    lamp = add_goods(site, "Lamp", Brass=0)
    now = site.deps.clock()
    make_offer(site, shop_id, Terms(name="Last winter"), lamp, deeds=(Verb.ACTIVATE, Verb.COMPLETE))
    make_offer(site, shop_id, Terms(name="Made to order", mode=Mode.ALWAYS))
    later = Terms(name="Christmas", starts_at=now + timedelta(days=9), ends_at=now + timedelta(days=40))
    make_offer(site, shop_id, later, lamp, deeds=(Verb.ACTIVATE,))
    make_offer(site, shop_id, Terms(name="Lamps"), lamp, deeds=(Verb.ACTIVATE, Verb.PAUSE))
    terms = Terms(
        name="Nordwind, second batch",
        description="Sewn in Flensburg; the third batch follows in March.",
        ends_at=now + timedelta(days=30),
        auto_disable=True,
        limit_total=500,
        limit_per_customer=2,
    )
    row = make_offer(site, shop_id, terms, coat, lamp, deeds=(Verb.ACTIVATE,))
    site.execute(
        "insert into offer_orders (shop_id, offer_id, order_id, line_id, variant_id, quantity, ordered_at)"
        " values (%s, %s, 'o', 'l', 'v', 212, now())",
        shop_id,
        row.offer_id,
    )
    return {"offer": row.offer_id, "offer_product": coat.rsplit("/", 1)[-1]}
