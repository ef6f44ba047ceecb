"""JSON from the wire to values, strictly: an unknown shape raises BAD_ANSWER and names its place. No I/O."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeVar

from stockwright.model import (
    ItemGid,
    Json,
    LevelRead,
    Location,
    LocationGid,
    ProductGid,
    VariantGid,
    VariantRead,
)
from stockwright.shopify.errors import bad_answer

T = TypeVar("T")


class Node:
    """A JSON object with typed getters; `path` says where it stood, for messages."""

    def __init__(self, value: Json, path: str) -> None:
        if not isinstance(value, dict):
            raise bad_answer(f"{path} should be an object, but is {_kind(value)}")
        self._value = value
        self.path = path

    def text(self, name: str) -> str:
        return self._typed(name, str)

    def optional_text(self, name: str) -> str | None:
        return None if self._got(name) is None else self._typed(name, str)

    def integer(self, name: str) -> int:
        value = self._typed(name, int)
        if isinstance(value, bool):
            raise bad_answer(f"{self.path}.{name} should be a number, but is a boolean")
        return value

    def number(self, name: str) -> float:
        value = self._got(name)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise bad_answer(f"{self.path}.{name} should be a number, but is {_kind(value)}")
        return float(value)

    def flag(self, name: str) -> bool:
        return self._typed(name, bool)

    def moment(self, name: str) -> datetime:
        return _moment(self.text(name), f"{self.path}.{name}")

    def optional_moment(self, name: str) -> datetime | None:
        return None if self._got(name) is None else self.moment(name)

    def child(self, name: str) -> "Node":
        return Node(self._got(name), f"{self.path}.{name}")

    def optional_child(self, name: str) -> "Node | None":
        return None if self._got(name) is None else self.child(name)

    def values(self, name: str) -> list[Json]:
        return self._typed(name, list)

    def children(self, name: str) -> list["Node"]:
        return [Node(value, f"{self.path}.{name}[{i}]") for i, value in enumerate(self.values(name))]

    def optional_children(self, name: str) -> list["Node | None"]:
        """A list in which null stands for what does not exist, such as `nodes(ids)`."""
        at = f"{self.path}.{name}"
        return [None if v is None else Node(v, f"{at}[{i}]") for i, v in enumerate(self.values(name))]

    def texts(self, name: str) -> list[str]:
        values = self.values(name)
        if not all(isinstance(value, str) for value in values):
            raise bad_answer(f"{self.path}.{name} should hold texts only")
        return values

    def has(self, name: str) -> bool:
        """Whether the name is there with a value other than null."""
        return self._value.get(name) is not None

    def _got(self, name: str) -> Json:
        if name not in self._value:
            raise bad_answer(f"{self.path}.{name} is missing")
        return self._value[name]

    def _typed(self, name: str, kind: type[T]) -> T:
        value = self._got(name)
        if not isinstance(value, kind):
            raise bad_answer(f"{self.path}.{name} should be {_NAMES[kind]}, but is {_kind(value)}")
        return value


_NAMES = {str: "a text", int: "a number", bool: "true or false", list: "a list"}


def _kind(value: Json) -> str:
    return "null" if value is None else f"of type {type(value).__name__}"


def _moment(text: str, path: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise bad_answer(f"{path} should be a time, but is {text[:40]!r}") from None
    if moment.tzinfo is None:
        raise bad_answer(f"{path} has no time zone: {text[:40]!r}")
    return moment.astimezone(UTC)


def next_cursor(connection: Node) -> str | None:
    """The cursor of the page after this one, None on the last page."""
    page = connection.child("pageInfo")
    return page.text("endCursor") if page.flag("hasNextPage") else None


@dataclass(frozen=True, kw_only=True)
class ItemLevels:
    """One page of an inventory item's levels; `after` leads to the next page, None when complete."""

    item_id: ItemGid
    tracked: bool
    levels: tuple[LevelRead, ...]
    after: str | None


@dataclass(frozen=True, kw_only=True)
class ProductHead:
    """A product without its variants."""

    id: ProductGid
    title: str
    status: str
    product_type: str
    tags: frozenset[str]
    is_gift_card: bool


@dataclass(frozen=True, kw_only=True)
class VariantHead:
    """A variant without its levels."""

    id: VariantGid
    title: str
    item_id: ItemGid
    tracked: bool
    requires_components: bool

    def with_levels(self, levels: tuple[LevelRead, ...]) -> VariantRead:
        """The variant, complete."""
        return VariantRead(
            id=self.id,
            title=self.title,
            item_id=self.item_id,
            tracked=self.tracked,
            requires_components=self.requires_components,
            levels=levels,
        )


def product_head(node: Node) -> ProductHead:
    """`product` of any operation that reads products."""
    return ProductHead(
        id=ProductGid(node.text("id")),
        title=node.text("title"),
        status=node.text("status"),
        product_type=node.text("productType"),
        tags=frozenset(node.texts("tags")),
        is_gift_card=node.flag("isGiftCard"),
    )


def variant_head(node: Node) -> VariantHead:
    """One node of `product.variants`."""
    item = node.child("inventoryItem")
    return VariantHead(
        id=VariantGid(node.text("id")),
        title=node.text("title"),
        item_id=ItemGid(item.text("id")),
        tracked=item.flag("tracked"),
        requires_components=node.flag("requiresComponents"),
    )


def item_levels(node: Node) -> ItemLevels:
    """An `InventoryItem` with one page of `inventoryLevels`."""
    connection = node.child("inventoryLevels")
    return ItemLevels(
        item_id=ItemGid(node.text("id")),
        tracked=node.flag("tracked"),
        levels=tuple(_level(level) for level in connection.children("nodes")),
        after=next_cursor(connection),
    )


def _level(node: Node) -> LevelRead:
    quantities = node.children("quantities")
    available = next((one for one in quantities if one.text("name") == "available"), None)
    return LevelRead(
        location_id=LocationGid(node.child("location").text("id")),
        available=available.integer("quantity") if available else None,
        stamp=available.optional_moment("updatedAt") if available else None,
        is_active=node.flag("isActive"),
    )


def location(node: Node) -> Location:
    """One node of `locations`."""
    return Location(id=LocationGid(node.text("id")), name=node.text("name"), is_active=node.flag("isActive"))


def listed(connection: Node, parse: Callable[[Node], T]) -> list[T]:
    """The nodes of a connection's page, parsed."""
    return [parse(node) for node in connection.children("nodes")]
