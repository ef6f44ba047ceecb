"""What an operation of the API is: the one description that routing, checking and OpenAPI are made from."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, Literal, TypeVar
from urllib.parse import urlencode

from pydantic import BaseModel, ConfigDict, Field

from stockwright.access import Scope
from stockwright.deps import Deps
from stockwright.store.api_requests import Rate
from stockwright.store.audit import Actor
from stockwright.store.tokens import TokenRow
from stockwright.web.api.paging import encode
from stockwright.web.api.problems import Kind
from stockwright.web.api.reading import QueryInt

_ALWAYS = (Kind.UNAUTHENTICATED, Kind.INVALID, Kind.TOO_MANY, Kind.INTERNAL, Kind.UNAVAILABLE)

Method = Literal["GET", "POST", "PATCH", "DELETE"]


class Nothing(BaseModel):
    """No query, or no body."""

    model_config = ConfigDict(extra="forbid")


Q = TypeVar("Q", bound=BaseModel)
B = TypeVar("B", bound=BaseModel)


@dataclass(frozen=True, kw_only=True)
class ApiDeps:
    """What the API needs; built and closed by whoever starts it."""

    deps: Deps
    public_url: str | None  # where shops send webhooks
    version: str
    rate: Rate


@dataclass(frozen=True, kw_only=True)
class Call(Generic[Q, B]):
    """One request that was let in and understood."""

    api: ApiDeps
    token: TokenRow
    url_path: str
    path: Mapping[str, str]
    query: Q
    body: B
    if_match: str | None

    @property
    def actor(self) -> Actor:
        """Who acts, for the audit log."""
        return Actor(user_id=None, name=f"API token {self.token.name}")

    def next_page(self, *place: str) -> str:
        """The address of the page after `place`, with the same filters."""
        asked = self.query.model_dump(mode="json", exclude_none=True, exclude={"cursor"})
        texts = {
            name: str(value).lower() if isinstance(value, bool) else value for name, value in asked.items()
        }
        return f"{self.url_path}?{urlencode({**texts, 'cursor': encode(self.url_path, place)})}"


@dataclass(frozen=True, kw_only=True)
class Reply:
    """What an operation answers; `content` None: no body."""

    content: BaseModel | None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Operation(Generic[Q, B]):
    """One method of one path."""

    id: str
    method: Method
    path: str  # below /api/v1, with {names}
    summary: str
    description: str = ""
    tag: str
    scope: Scope
    handler: Callable[[Call[Q, B]], Awaitable[Reply]]
    query: type[Q]
    body: type[B]
    answer: type[BaseModel] | None
    status: int = 200
    problems: Sequence[Kind] = ()  # besides those that follow from the rest
    takes_if_match: bool = False
    has_etag: bool = False
    has_location: bool = False
    is_repeatable: bool = False  # takes an Idempotency-Key

    @property
    def has_body(self) -> bool:
        """Whether a body is expected."""
        return self.body is not Nothing

    @property
    def names(self) -> list[str]:
        """The names in the path."""
        return [part[1:-1] for part in self.path.split("/") if part.startswith("{")]

    @property
    def all_problems(self) -> list[Kind]:
        """Everything that it can fail with, by status."""
        found = {*_ALWAYS, *self.problems}
        if self.scope == "write":
            found.add(Kind.SCOPE_MISSING)
        if self.names:
            found.add(Kind.NOT_FOUND)
        if self.has_body:
            found |= {Kind.MALFORMED, Kind.TOO_LARGE, Kind.MEDIA_TYPE}
        if self.takes_if_match:
            found.add(Kind.CHANGED)
        if self.is_repeatable:
            found |= {Kind.KEY_IN_USE, Kind.KEY_REUSED}
        return sorted(found, key=lambda kind: (kind.value.status, kind.value.slug))


AnyOperation = Operation[Any, Any]


class PageQuery(BaseModel):
    """How much of a list, and where to go on."""

    model_config = ConfigDict(extra="forbid")

    limit: QueryInt = Field(default=50, ge=1, le=200, description="How many at most.")
    cursor: str | None = Field(
        default=None, max_length=1000, description="Where to go on; only as part of a `next` address."
    )
