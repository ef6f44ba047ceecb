"""Files of people on their way in: stored whole, worked through in batches under a fence, refused lines kept."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from psycopg import AsyncConnection
from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from stockwright.model import JsonObject, ShopId
from stockwright.store.ids import new_id
from stockwright.store.inbox import dump
from stockwright.store.queries import queries

SQL = queries("imports")


@dataclass(frozen=True, kw_only=True)
class ImportRow:
    """One import as people see it."""

    shop_id: ShopId
    import_id: str
    file_name: str
    made_by: str
    consent: str  # kept | asked
    state: str  # checking | checked | importing | done | failed | cancelled
    reason: str
    total_rows: int
    next_row: int  # rows worked through
    added: int
    doubles: int
    refused: int
    created_at: datetime
    due_at: datetime
    finished_at: datetime | None
    has_file: bool

    @property
    def goes_on(self) -> bool:
        """Whether a worker has something to do for it."""
        return self.state in ("checking", "importing")


@dataclass(frozen=True, kw_only=True)
class Lent:
    """An import that one worker holds, for as long as its fence is the newest."""

    state: str
    consent: str
    file_name: str
    file: bytes
    next_row: int
    fence: int
    created_at: datetime


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """A line that was refused."""

    line: int
    reason: str


@dataclass(frozen=True, kw_only=True)
class NewPerson:
    """A subscriber out of a file."""

    subscriber_id: str
    email: str
    address_hash: str  # hex
    product_id: str
    variant_id: str
    product_title: str
    variant_title: str
    locale: str
    first_name: str
    customer_id: str
    quantity: int
    created_at: str  # ISO 8601


async def add(
    conn: AsyncConnection,
    shop_id: ShopId,
    *,
    file_name: str,
    file: bytes,
    made_by: str,
    consent: str,
    state: str,
    total_rows: int,
    at: datetime,
) -> str:
    """Store a file that was understood; the id of its import."""
    import_id = new_id("imp", at)
    values = {"shop_id": shop_id, "import_id": import_id, "file_name": file_name, "file": file, "at": at}
    given = {"made_by": made_by, "consent": consent, "state": state, "total_rows": total_rows}
    await conn.execute(SQL.insert_import, {**values, **given})
    return import_id


async def get(conn: AsyncConnection, import_id: str) -> ImportRow | None:
    """One import by its id alone."""
    async with conn.cursor(row_factory=class_row(ImportRow)) as cursor:
        await cursor.execute(SQL.get_import, {"import_id": import_id})
        return await cursor.fetchone()


async def newest(conn: AsyncConnection, shop_id: ShopId, *, limit: int) -> list[ImportRow]:
    """The newest imports of a shop."""
    async with conn.cursor(row_factory=class_row(ImportRow)) as cursor:
        await cursor.execute(SQL.list_imports, {"shop_id": shop_id, "limit": limit})
        return await cursor.fetchall()


async def refusals(conn: AsyncConnection, shop_id: ShopId, import_id: str, *, limit: int) -> list[Refusal]:
    """The lines that were refused, by line."""
    values = {"shop_id": shop_id, "import_id": import_id, "limit": limit}
    async with conn.cursor(row_factory=class_row(Refusal)) as cursor:
        await cursor.execute(SQL.refusals_of, values)
        return await cursor.fetchall()


async def due(conn: AsyncConnection, *, at: datetime, limit: int) -> list[tuple[ShopId, str]]:
    """Imports that somebody should go on with."""
    rows = await (await conn.execute(SQL.due_imports, {"at": at, "limit": limit})).fetchall()
    return [(ShopId(shop_id), str(import_id)) for shop_id, import_id in rows]


# --- working through -----------------------------------------------------------------------------------------


async def claim(
    conn: AsyncConnection, shop_id: ShopId, import_id: str, *, lease_s: float, at: datetime
) -> Lent | None:
    """Take an import for `lease_s` seconds; None: another worker has it, or nothing is left to do."""
    values = {"shop_id": shop_id, "import_id": import_id, "lease_s": lease_s, "at": at}
    async with conn.cursor(row_factory=class_row(Lent)) as cursor:
        await cursor.execute(SQL.claim_import, values)
        return await cursor.fetchone()


async def is_ours(conn: AsyncConnection, shop_id: ShopId, import_id: str, lent: Lent) -> bool:
    """Lock an import for a batch; False: another worker has it by now, or it was cancelled."""
    values = {"shop_id": shop_id, "import_id": import_id, "fence": lent.fence, "state": lent.state}
    return await (await conn.execute(SQL.is_ours, values)).fetchone() is not None


async def progress(
    conn: AsyncConnection,
    shop_id: ShopId,
    import_id: str,
    *,
    next_row: int,
    counts: Mapping[str, int],
    refused: Sequence[Refusal],
    lease_s: float,
    at: datetime,
) -> None:
    """Note a batch with its `counts` (added, doubles, refused) in the transaction that asked `is_ours`."""
    key = {"shop_id": shop_id, "import_id": import_id}
    await conn.execute(SQL.progress, {**key, **counts, "next_row": next_row, "lease_s": lease_s, "at": at})
    if refused:
        lines, reasons = [one.line for one in refused], [one.reason for one in refused]
        await conn.execute(SQL.add_refusals, {**key, "lines": lines, "reasons": reasons})


async def end(conn: AsyncConnection, shop_id: ShopId, import_id: str, lent: Lent, *, at: datetime) -> None:
    """Every row was worked through."""
    values = {"shop_id": shop_id, "import_id": import_id, "fence": lent.fence, "at": at}
    await conn.execute(SQL.end_import, values)


async def put_off(
    conn: AsyncConnection,
    shop_id: ShopId,
    import_id: str,
    lent: Lent,
    *,
    reason: str,
    failed: bool,
    due_at: datetime,
    at: datetime,
) -> None:
    """It goes on later, or ends as failed."""
    values = {"shop_id": shop_id, "import_id": import_id, "fence": lent.fence, "reason": reason, "at": at}
    await conn.execute(SQL.put_off, {**values, "failed": failed, "due_at": due_at})


async def start(
    conn: AsyncConnection, shop_id: ShopId, import_id: str, *, consent: str, at: datetime
) -> bool:
    """Import what was checked; False: it is not (any more) in that state."""
    values = {"shop_id": shop_id, "import_id": import_id, "consent": consent, "at": at}
    return await (await conn.execute(SQL.start_import, values)).fetchone() is not None


async def cancel(
    conn: AsyncConnection, shop_id: ShopId, import_id: str, *, reason: str, at: datetime
) -> bool:
    """Stop it; False: it has ended. What was imported stays."""
    values = {"shop_id": shop_id, "import_id": import_id, "reason": reason, "at": at}
    return (await conn.execute(SQL.cancel_import, values)).rowcount == 1


# --- people ---------------------------------------------------------------------------------------------------


async def waiting_among(
    conn: AsyncConnection, shop_id: ShopId, pairs: Sequence[tuple[bytes, str]]
) -> set[tuple[bytes, str]]:
    """Those of these pairs of address hash and variant that wait already."""
    values = {
        "shop_id": shop_id,
        "address_hashes": [address_hash for address_hash, _ in pairs],
        "variant_ids": [variant_id for _, variant_id in pairs],
    }
    rows = await (await conn.execute(SQL.waiting_among, values)).fetchall()
    return {(bytes(address_hash), str(variant_id)) for address_hash, variant_id in rows}


async def add_people(
    conn: AsyncConnection,
    shop_id: ShopId,
    given: Sequence[NewPerson],
    *,
    state: str,
    consent: JsonObject,
    detail: str,
    actor: str,
    at: datetime,
) -> dict[str, str]:
    """Add those who do not wait yet; their subscriber ids with the products they wait for."""
    values = {
        "shop_id": shop_id,
        "batch": dump([vars(one) for one in given]),
        "state": state,
        "consent": Jsonb(dict(consent)),
        "detail": detail,
        "actor": actor,
        "at": at,
    }
    rows = await (await conn.execute(SQL.add_people, values)).fetchall()
    return {str(subscriber_id): str(product_id) for subscriber_id, product_id in rows}


async def forget_old(conn: AsyncConnection, *, at: datetime, files: datetime, imports: datetime) -> None:
    """Forget files that were checked before `files`, and imports made before `imports`."""
    await conn.execute(SQL.forget_files, {"before": files, "at": at})
    await conn.execute(SQL.forget_imports, {"before": imports, "at": at})
