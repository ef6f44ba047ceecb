"""What the admin site is made of: its dependencies, its sections, and a section's pages as data."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from jinja2 import Environment
from starlette.routing import BaseRoute

from stockwright.access import Passwords, SessionLimits
from stockwright.deps import Deps
from stockwright.encryption import Cipher
from stockwright.settings import Settings


@dataclass(frozen=True, kw_only=True)
class Tab:
    """One of the pages that stand side by side inside a section."""

    title: str
    href: str


@dataclass(frozen=True, kw_only=True)
class Section:
    """One entry of the navigation with all its pages."""

    title: str
    href: str  # its first page; the section is current on every path below it
    icon: str  # a name of templates/macros/icons.html
    routes: Sequence[BaseRoute]
    tabs: Sequence[Tab] = ()
    samples: Sequence[str] = field(default=())  # paths for `make screenshots`; {shop} and the like are filled

    def holds(self, path: str) -> bool:
        """Whether a path is one of this section's."""
        own = (self.href, *(tab.href for tab in self.tabs))
        return any(path == href or (href != "/" and path.startswith(href + "/")) for href in own)


@dataclass(frozen=True, kw_only=True)
class AdminDeps:
    """What the site needs of the process; built and closed by whoever starts it."""

    deps: Deps
    cipher: Cipher
    settings: Settings
    version: str
    passwords: Passwords = field(default_factory=Passwords)


@dataclass(frozen=True, kw_only=True)
class Site:
    """The site as its handlers see it."""

    own: AdminDeps
    sections: tuple[Section, ...]
    templates: Environment
    static: Callable[[str], str]

    @property
    def session_limits(self) -> SessionLimits:
        """How long people stay signed in."""
        settings = self.own.settings
        return SessionLimits(
            idle=timedelta(hours=settings.session_idle_hours), whole=timedelta(days=settings.session_days)
        )

    @property
    def is_https(self) -> bool:
        """Whether people reach it by https only."""
        return (self.own.settings.public_url or "").startswith("https://")

    def section_at(self, path: str) -> Section | None:
        """The section that a path belongs to."""
        return next((section for section in self.sections if section.holds(path)), None)
