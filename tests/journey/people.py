"""People who wait, for stories of the service: as sign-ups and files leave them."""

from typing import Any

from psycopg.types.json import Jsonb

from stockwright import importing
from stockwright.store import imports, shops
from stockwright.store.audit import COMMAND_LINE
from stockwright.store.ids import new_id
from stockwright.store.imports import ImportRow
from stockwright.store.shops import Shop
from tests.journey.listings import Listing
from tests.journey.service import Service


async def shop_of(service: Service) -> Shop:
    """The stored shop."""
    async with service.database.connection() as conn:
        found = await shops.get(conn, service.shop_id)
    assert found is not None
    return found


async def add_person(service: Service, email: str, variant: Any, **changes: Any) -> str:
    """Somebody who waits for a variant of the bundled shop; `changes` are columns. The subscriber's id."""
    at = changes.pop("created_at", service.clock.now())
    subscriber_id = new_id("sub", at)
    values = {
        "shop_id": service.shop_id,
        "subscriber_id": subscriber_id,
        "email": email,
        "address_hash": service.deps.keyring.address_hash(service.shop_id, email),
        "product_id": variant.product.gid,
        "variant_id": variant.gid,
        "product_title": variant.product.title,
        "variant_title": variant.title,
        "state": "pending",
        "source": "proxy",
        "consent": Jsonb({"wording": "Mail me."}),
        "created_at": at,
        **changes,
    }
    names, marks = ", ".join(values), ", ".join(f"%({name})s" for name in values)
    async with service.database.connection() as conn:
        await conn.execute(f"insert into subscribers ({names}) values ({marks})".encode(), values)
    return subscriber_id


async def add_message(service: Service, to: str, *, state: str = "sent", key: str = "") -> str:
    """A mail to an address; its id."""
    message_id = new_id("msg", service.clock.now())
    async with service.database.connection() as conn:
        await conn.execute(
            b"insert into messages (shop_id, message_id, key, kind, recipient, subject, text, state, next_at)"
            b" values (%s, %s, %s, 'back_in_stock', %s, 'It is back', %s, %s, %s)",
            (
                service.shop_id,
                message_id,
                key or message_id,
                to,
                f"Hello {to}",
                state,
                service.clock.now() if state == "pending" else None,
            ),
        )
    return message_id


async def send_file(service: Service, text: str | bytes, *, check: bool = False, **given: Any) -> ImportRow:
    """Take a file in and go through it, as a worker does; how it stands then."""
    data = text if isinstance(text, bytes) else text.encode()
    row = await importing.begin(
        service.deps,
        await shop_of(service),
        name="people.csv",
        data=data,
        check=check,
        by=COMMAND_LINE,
        **given,
    )
    await importing.go_on(service.deps)
    return await import_now(service, row.import_id)


async def import_now(service: Service, import_id: str) -> ImportRow:
    """How an import stands."""
    async with service.database.connection() as conn:
        found = await imports.get(conn, import_id)
    assert found is not None
    return found


async def people_now(service: Service) -> list[tuple[str, str, str]]:
    """(address, state, status) of everybody, oldest first."""
    async with service.database.connection() as conn:
        cursor = await conn.execute(
            b"select email, state, status from subscribers s order by created_at, (select min(step_no)"
            b" from subscriber_steps t where t.shop_id = s.shop_id and t.subscriber_id = s.subscriber_id)"
        )
        return [tuple(row) for row in await cursor.fetchall()]


def number(variant: Any) -> str:
    """The variant's number, as files have it."""
    return str(variant.gid.rsplit("/", 1)[1])


async def furnish_people(service: Service, listing: Listing) -> tuple[str, str]:
    """Somebody who waits, and a file that was checked: their ids."""
    variant = listing.variant(listing.product.variants[0].title)
    subscriber_id = await add_person(service, "ann@example.com", variant)
    row = await send_file(service, f"email,variant_id\nbob@example.com,{number(variant)}", check=True)
    return subscriber_id, row.import_id
