"""Sales channels by the names that a person gives them. Pure."""

from collections.abc import Iterable, Sequence

from stockwright.automations.places import NameNotFound
from stockwright.model import Channel, ShopRead


def channels_named(shop: ShopRead, names: Iterable[str]) -> tuple[Channel, ...]:
    """The shop's channels with these names, in the shop's order; a name given twice counts once.

    A name is the channel's own; where no channel has it, the title of the app behind the channel.

    Raises:
        NameNotFound: a name is no channel of the shop, or stands for several.
    """
    chosen = {_the_one(shop, name).id for name in dict.fromkeys(names)}
    return tuple(channel for channel in shop.channels if channel.id in chosen)


def _the_one(shop: ShopRead, name: str) -> Channel:
    found = [one for one in shop.channels if one.name == name]
    found = found or [one for one in shop.channels if one.app_title == name]
    if len(found) == 1:
        return found[0]
    shown = sorted(channel.name for channel in shop.channels)
    detail = {"available_sales_channel_names": shown}
    if found:
        raise NameNotFound(
            f"The shop has {len(found)} sales channels named {name!r}, and it cannot be told which one is meant. "
            f"Rename one of them. Available sales channels: {', '.join(shown)}.",
            detail=detail,
        )
    raise NameNotFound(
        f"There is no sales channel named {name!r}. Each name must exactly match a sales channel of the shop. "
        f"Available sales channels: {', '.join(shown) or 'none that this app may see'}.",
        detail=detail,
    )


def told(channels: Sequence[Channel]) -> str:
    """Their names in a sentence."""
    return ", ".join(channel.name for channel in channels)
