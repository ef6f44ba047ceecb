"""People who wait, were told or left, for pages to show; and imports of files, gone through as a worker does."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

from psycopg.types.json import Jsonb

from shopify_emulator import VariantSpec
from stockwright import importing
from stockwright.deps import Deps
from stockwright.model import ShopId
from stockwright.people_upkeep import read_prices
from stockwright.store import shops
from stockwright.store.audit import Actor
from stockwright.store.imports import ImportRow
from stockwright.store.shops import Shop
from tests.browser.automated import EVIL
from tests.browser.site import RunningSite

ANN = Actor(user_id=None, name="ann")
_CONSENT = {"wording": "Mail me when this is back in stock.", "version": "3f2a", "locale": "en"}


def add_waiting_product(
    site: RunningSite, title: str, *names: str, price: str = "25.00", **given: Any
) -> list[str]:
    """A sold-out product of the bundled shop; the gids of its variants."""

    async def work(_deps: Deps) -> list[str]:
        specs = [VariantSpec(title=name, levels=0, price=Decimal(price)) for name in names]
        product = site.shop.add_product(title, variants=specs, **given)
        return [product.gid, *(variant.gid for variant in product.variants)]

    return site.run(work)


def add_person(site: RunningSite, shop_id: int, no: int, **changes: Any) -> str:
    """A subscriber with a sign-up step; `changes` are columns."""
    email = changes.get("email", f"shopper{no}@example.com")

    async def work(deps: Deps) -> str:
        address_hash = deps.keyring.address_hash(ShopId(shop_id), email or f"erased {no}")
        values = {
            "shop_id": shop_id,
            "subscriber_id": f"sub_{no:06}",
            "email": email,
            "address_hash": address_hash,
            "product_id": "gid://shopify/Product/1",
            "variant_id": "gid://shopify/ProductVariant/1",
            "product_title": "Harbour at dawn",
            "variant_title": "Framed",
            "state": "pending",
            "source": "proxy",
            "consent": _CONSENT,
            "created_at": deps.clock(),
            **changes,
        }
        await _insert(deps, values)
        return str(values["subscriber_id"])

    return site.run(work)


async def _insert(deps: Deps, values: dict[str, Any]) -> None:
    values = {**values, "consent": Jsonb(values["consent"])}
    names, marks = ", ".join(values), ", ".join(f"%({name})s" for name in values)
    async with deps.database.connection() as conn:
        await conn.execute(f"insert into subscribers ({names}) values ({marks})".encode(), values)
        await conn.execute(
            b"insert into subscriber_steps (shop_id, subscriber_id, at, what) values (%s, %s, %s, 'signed_up')",
            (values["shop_id"], values["subscriber_id"], values["created_at"]),
        )


def add_failed_mail(
    site: RunningSite, shop_id: int, subscriber_id: str, to: str, *, state: str = "failed"
) -> str:
    """The message, attempt and notification of somebody whose mail was refused; the message's id."""
    message_id = f"msg_{subscriber_id}"
    site.execute(
        "insert into messages (shop_id, message_id, key, kind, recipient, subject, text, state, reason, smtp_reply,"
        " attempts) values (%s, %s, %s, 'back_in_stock', %s, 'It is back', 'Hello', %s, 'The recipient was refused.',"
        " '550 5.1.1 No such user', 1)",
        shop_id, message_id, message_id, to, state,
    )  # fmt: skip
    site.execute(
        "insert into message_attempts (shop_id, message_id, attempt, fence, server, started_at, finished_at, outcome,"
        " reply) values (%s, %s, 1, 1, 'mail.example.com:587', now(), now(), 'recipient', '550 5.1.1 No such user')",
        shop_id, message_id,
    )  # fmt: skip
    site.execute(
        "insert into notifications (shop_id, subscriber_id, wave_id, message_id, state, reason, smtp_reply, created_at,"
        " finished_at) values (%s, %s, 'wav_1', %s, 'failed', 'The recipient was refused.', '550 5.1.1 No such user',"
        " now(), now())",
        shop_id, subscriber_id, message_id,
    )  # fmt: skip
    return message_id


def shop_of(site: RunningSite, shop_id: int) -> Shop:
    """The stored shop."""

    async def work(deps: Deps) -> Shop:
        async with deps.database.connection() as conn:
            found = await shops.get(conn, ShopId(shop_id))
        assert found is not None
        return found

    return site.run(work)


def send_file(site: RunningSite, shop_id: int, text: str, *, check: bool = True) -> ImportRow:
    """Take a file in, as the page does."""
    shop = shop_of(site, shop_id)

    async def work(deps: Deps) -> ImportRow:
        return await importing.begin(deps, shop, name="people.csv", data=text.encode(), check=check, by=ANN)

    return site.run(work)


def go_on(site: RunningSite) -> None:
    """What a worker does with the files that wait."""
    site.run(importing.go_on)


def fill_people(site: RunningSite, shop_id: int) -> dict[str, str]:
    """Somebody in every state; the values of the placeholders in the samples."""
    product, framed, plain = add_waiting_product(
        site, "Harbour at dawn, limited", "Framed", "Unframed", price=120
    )
    other, large = add_waiting_product(site, "Herring gull", "Large", price="48.50")
    evil, cross = add_waiting_product(site, EVIL, '<b onmouseover="alert(1)">A3</b>')
    items = [(product, framed, "Harbour at dawn, limited", "Framed"), (product, plain, "Harbour at dawn, limited", "Unframed"),
             (other, large, "Herring gull", "Large"), (evil, cross, EVIL, '<b onmouseover="alert(1)">A3</b>')]  # fmt: skip
    states = ["pending"] * 6 + [
        "sent",
        "sent",
        "unconfirmed",
        "unknown",
        "failed",
        "unsubscribed",
        "cancelled",
        "queued",
    ]
    for no in range(70):
        state, item = states[no % len(states)], items[(no * 7 + no // 5) % len(items)]
        add_person(
            site, shop_id, no,
            email=f"shopper.{no}@{'a-rather-long-domain-of-a-customer.' if no % 9 == 4 else ''}example.com",
            product_id=item[0], variant_id=item[1], product_title=item[2], variant_title=item[3], state=state,
            reason={"unsubscribed": "By the link in a mail.", "cancelled": "ann cancelled it."}.get(state, ""),
            locale=("en", "fr", "de")[no % 3], quantity=1 + no % 3, first_name="Zoë" if no % 4 == 0 else "",
            created_at=site.deps.clock() - timedelta(hours=5 * (70 - no)),
            notified_at=site.deps.clock() if state == "sent" else None,
        )  # fmt: skip
    failed = add_person(
        site, shop_id, 900, email="no.such.user@example.com", state="failed", reason="The recipient was refused.",
        message_id="msg_sub_000900",
    )  # fmt: skip
    add_failed_mail(site, shop_id, failed, "no.such.user@example.com")
    erased = add_person(site, shop_id, 901, email="", state="cancelled", reason="Erased.")
    site.run(lambda deps: read_prices(deps, ShopId(shop_id)))
    _requests(site, shop_id)
    return {
        "subscriber": "sub_000000",
        "failed_subscriber": failed,
        "erased_subscriber": erased,
        **_imports(site, shop_id, framed),
    }


def _imports(site: RunningSite, shop_id: int, variant_id: str) -> dict[str, str]:
    number = variant_id.rsplit("/", 1)[1]
    lines = [f"new{no}@example.com,{number}" for no in range(30)] + [
        "nobody,1",
        f"x@example.com,{number}9999",
    ]
    text = "\n".join(["email,variant_id", *lines])
    checked = send_file(site, shop_id, text)
    done = send_file(site, shop_id, text.replace("new", "old"), check=False)
    go_on(site)
    return {"checked_import": checked.import_id, "done_import": done.import_id}


def _requests(site: RunningSite, shop_id: int) -> None:
    site.execute(
        "insert into compliance_requests (shop_id, request_id, domain, topic, received_at, due_at, done_at, result, note)"
        " values (%s, 'prv_1', 'prints.myshopify.com', 'shopify/customers/redact', now() - interval '3 days',"
        " now() + interval '27 days', now() - interval '3 days', '{\"subscriptions\": 2, \"messages\": 1}', ''),"
        " (%s, 'prv_2', 'prints.myshopify.com', 'shopify/customers/data_request', now() - interval '2 days',"
        " now() + interval '28 days', null, '{\"subscriptions\": 1, \"messages\": 0}',"
        " 'Download the file and give it to the customer.')",
        shop_id, shop_id,
    )  # fmt: skip
