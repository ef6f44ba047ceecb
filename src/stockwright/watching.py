"""What the database knows of the people who wait for a product, as the decision sees it."""

from stockwright.model import ShopId, VariantGid
from stockwright.notify.restock import InLine, Known, OpenWave, Watched
from stockwright.store import waves
from stockwright.store.database import Connection
from stockwright.store.waves import OpenRow


async def load_known(conn: Connection, shop_id: ShopId, product_id: str) -> Known:
    """What the database knows of a product before it is read."""
    watched = await waves.watched_of(conn, shop_id, product_id)
    in_line = await waves.in_line_of(conn, shop_id, product_id)
    wave = await waves.open_wave_of(conn, shop_id, product_id)
    return Known(
        watched=tuple(
            Watched(variant_id=VariantGid(one.variant_id), is_in=one.is_in, wave_seq=one.wave_seq)
            for one in watched
        ),
        in_line=tuple(
            InLine(variant_id=VariantGid(one.variant_id), quantity=one.quantity, people=one.people)
            for one in in_line
        ),
        wave=_open_wave(wave) if wave else None,
        is_offered=await waves.is_offered(conn, shop_id, product_id),
    )


def _open_wave(row: OpenRow) -> OpenWave:
    return OpenWave(
        wave_id=row.wave_id,
        state=row.state,
        opened_at=row.opened_at,
        settle_until=row.settle_until,
        going_on=frozenset(VariantGid(one) for one in row.going_on),
    )
