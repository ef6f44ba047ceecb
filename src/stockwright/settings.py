"""The settings: one typed table of names, defaults and meanings, read once when a command starts.

Names are environment variables STOCKWRIGHT_* and DATABASE_URL, also read from a `.env` file; the environment
wins. Nothing below this module reads the environment.
"""

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Any, Literal

from dotenv import dotenv_values
from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, ValidationInfo, field_validator
from pydantic.fields import FieldInfo

from stockwright.model import StockwrightError

PREFIX = "STOCKWRIGHT_"
TEST_PREFIX = "STOCKWRIGHT_TEST_"  # what the test suite tells itself
DATABASE_URL = "DATABASE_URL"
_MASK = "********"
_MEGABYTE = 1_048_576
_HOST = r"(\[[^\[\]]*\]|[^@/?:,\[\]]*)(:\d*)?"
_DATABASE = re.compile(rf"postgres(ql)?://([^@/?]*@)?{_HOST}(,{_HOST})*(/[^?]*)?(\?.*)?")
_LOOSE_PERCENT = re.compile(r"%(?![0-9a-fA-F]{2})")


class SettingsError(StockwrightError):
    """A setting has an unknown name or a value that cannot be used."""


class Settings(BaseModel):
    """Every setting; the description of a field is its help."""

    model_config = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=True, validate_default=True)

    home: Path = Field(
        default=Path("~/.stockwright"),
        description="Folder for the secret key and the embedded database. Where root's server cannot reach it, the file "
        "postgres.location in it names the database's folder.",
    )
    database_url: SecretStr | None = Field(
        default=None,
        description="PostgreSQL to use (postgresql://user:password@host/name). Empty: run our own under the home folder.",
    )
    host: str = Field(default="127.0.0.1", description="Address that the web server listens on.")
    port: int = Field(
        default=8000, ge=0, le=65535, description="Port that the web server listens on; 0 takes any."
    )
    public_url: str | None = Field(
        default=None,
        description="Address under which Shopify and customers reach the web server, such as https://stock.example.com.",
    )
    secret_key: SecretStr | None = Field(
        default=None,
        description="Key that encrypts shop credentials at rest (44 characters). Empty: made once in the home folder.",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="Least severity that is logged."
    )
    log_format: Literal["console", "json"] = Field(
        default="console", description="Lines for people, or one JSON object per line."
    )
    worker_concurrency: int = Field(
        default=12, ge=1, le=500, description="Runs that one worker process works on at the same time."
    )
    worker_pool_size: int = Field(
        default=10,
        ge=2,
        le=500,
        description="Database connections of one worker process, besides two of its own.",
    )
    web_pool_size: int = Field(
        default=6,
        ge=3,
        le=500,
        description="Database connections of one web process, the inbox writers among them.",
    )
    poll_interval_s: float = Field(
        default=1.0, gt=0, le=60, description="How often a worker looks for work that became due by time."
    )
    stop_limit_s: float = Field(
        default=20.0, ge=0, le=600, description="How long running work may go on after a request to stop."
    )
    silence_limit_s: float = Field(
        default=30.0, ge=15, le=3600, description="A worker without a sign of life for this long is replaced."
    )
    sweep_every_s: float = Field(
        default=30.0, ge=1, le=3600, description="How often work without a wake-up is looked for."
    )
    reconcile_every_s: float = Field(
        default=600.0,
        ge=30,
        le=86_400,
        description="How often every shared stock is read again, webhook or not; where an automation has a schedule "
        "of an hour or less, that does it.",
    )
    retry_limit: int = Field(
        default=12, ge=1, le=100, description="Unexpected errors in a row after which a run is given up."
    )
    dead_time_s: float = Field(
        default=120.0,
        ge=0,
        le=3600,
        description="After this a request that was sent can no longer be applied.",
    )
    settle_window_s: float = Field(
        default=30.0, ge=0, le=3600,
        description="An unknown outcome is judged by levels only when they are read within this of the send.",
    )  # fmt: skip
    order_lag_s: float = Field(
        default=300.0,
        ge=0,
        le=3600,
        description="A list of orders may lack those of the last so many seconds; as evidence they wait for it.",
    )
    web_body_limit_bytes: int = Field(
        default=5 * _MEGABYTE,
        ge=1024,
        le=100 * _MEGABYTE,
        description="Largest request body that is accepted.",
    )
    trusted_proxies: str = Field(
        default="127.0.0.0/8, ::1/128",
        description="Networks of your own web servers in front, whose X-Forwarded-For is believed; separated by commas.",
    )
    api_requests_per_s: float = Field(
        default=10.0, gt=0, le=10_000, description="Requests that an API token may make in the long run."
    )
    api_burst: int = Field(
        default=100, ge=1, le=100_000, description="Requests that an API token may make at once."
    )
    inbox_writers: int = Field(
        default=2,
        ge=1,
        le=8,
        description="Transactions that store webhooks at the same time in one web process.",
    )
    inbox_batch_rows: int = Field(
        default=100, ge=1, le=1000, description="Webhooks that one transaction stores at most."
    )
    inbox_queue_rows: int = Field(
        default=2000,
        ge=1,
        le=100_000,
        description="Webhooks that may wait to be stored; more are answered 503.",
    )
    inbox_limit_s: float = Field(
        default=2.0, gt=0, le=4.5, description="A webhook that is not stored within this is answered 503."
    )
    keep_events_days: int = Field(default=30, ge=1, le=3650, description="Events are kept for this long.")
    keep_runs_days: int = Field(
        default=90, ge=1, le=3650, description="Runs, their effects and attempts are kept for this long."
    )
    keep_deliveries_days: int = Field(
        default=7, ge=2, le=365, description="Repeated webhooks are recognised for this long."
    )

    session_idle_hours: int = Field(
        default=12,
        ge=1,
        le=720,
        description="Who does nothing in the admin site for this long is signed out.",
    )
    session_days: int = Field(
        default=7, ge=1, le=90, description="Everybody signs in to the admin site again after this long."
    )
    keep_messages_days: int = Field(
        default=365, ge=30, le=3650, description="Mail that was sent or has failed is kept for this long."
    )
    owner_email: str | None = Field(
        default=None,
        description="Who is told when an automation fails, for shops that name nobody of their own.",
    )
    smtp_host: str | None = Field(
        default=None,
        description="Mail server for shops without one of their own. Empty: their mail is held until there is one.",
    )
    smtp_port: int | None = Field(
        default=None,
        ge=1,
        le=65535,
        description="Its port. Empty: 587 for starttls, 465 for tls, 25 for none.",
    )
    smtp_security: Literal["none", "starttls", "tls"] = Field(
        default="starttls",
        description="How the connection to it is protected; starttls never goes on without.",
    )
    smtp_user: str | None = Field(default=None, description="User to sign in as. Empty: no sign-in.")
    smtp_password: SecretStr | None = Field(default=None, description="The user's password.")
    smtp_from: str | None = Field(default=None, description="Address that mail comes from.")
    smtp_from_name: str = Field(default="", description="Name that mail comes from. Empty: the shop's name.")
    smtp_reply_to: str | None = Field(default=None, description="Address for answers, if another.")
    smtp_rate_per_minute: int = Field(
        default=600, ge=1, le=100_000, description="Messages per minute that the server gets at most."
    )
    smtp_ehlo_name: str = Field(
        default="", description="Name that we greet the server with. Empty: this machine's name."
    )
    smtp_ca_file: Path | None = Field(
        default=None, description="Certificates of the authorities to trust. Empty: those of this machine."
    )
    smtp_verify: bool = Field(default=True, description="Whether the server's certificate is checked.")
    smtp_allow_plain: bool = Field(
        default=False, description="Whether security none may be used beyond this machine."
    )
    smtp_timeout_s: float = Field(
        default=30.0, gt=0, le=300, description="How long the mail server may take for an answer."
    )
    bounce_imap_host: str | None = Field(
        default=None,
        description="IMAP server of the mailbox that mail comes back to. Empty: reports come by the API or not at all.",
    )
    bounce_imap_port: int | None = Field(
        default=None, ge=1, le=65535, description="Its port. Empty: 993 for tls, 143 for none."
    )
    bounce_imap_security: Literal["none", "tls"] = Field(
        default="tls", description="How the connection is protected; none is for this machine only."
    )
    bounce_imap_user: str = Field(default="", description="User of that mailbox.")
    bounce_imap_password: SecretStr | None = Field(default=None, description="The user's password.")
    bounce_imap_folder: str = Field(
        default="INBOX", description="Folder that is read; what was read is marked as seen."
    )
    bounce_imap_every_s: float = Field(default=300.0, ge=10, le=86_400, description="How often it is read.")

    @property
    def proxy_networks(self) -> tuple[IPv4Network | IPv6Network, ...]:
        """The networks of `trusted_proxies`."""
        return tuple(ip_network(part.strip()) for part in self.trusted_proxies.split(",") if part.strip())

    @field_validator("home")
    @classmethod
    def _absolute(cls, value: Path) -> Path:
        return value.expanduser().absolute()

    @field_validator("database_url")
    @classmethod
    def _postgres_address(cls, value: SecretStr | None) -> SecretStr | None:
        """The driver would refuse it, too, with a part of the password in its message."""
        if value is not None and not _is_postgres_address(value.get_secret_value()):
            raise ValueError(
                "must look like postgresql://user:password@host:5432/name (signs in a user or password as "
                "%XX: @ is %40, : is %3A, / is %2F, ? is %3F, % is %25)"
            )
        return value

    @field_validator("trusted_proxies")
    @classmethod
    def _networks(cls, value: str) -> str:
        for part in value.split(","):
            if part.strip():
                ip_network(part.strip())  # its message says what is wrong
        return value

    @field_validator("inbox_writers")
    @classmethod
    def _fewer_than_connections(cls, value: int, given: ValidationInfo) -> int:
        connections: int | None = given.data.get("web_pool_size")
        if connections is not None and value >= connections:
            raise ValueError(
                f"must be less than {PREFIX}WEB_POOL_SIZE ({connections}): the rest of the web server needs a "
                "connection too"
            )
        return value

    @field_validator("public_url")
    @classmethod
    def _web_address(cls, value: str | None) -> str | None:
        if value is not None and not value.startswith(("https://", "http://")):
            raise ValueError("must start with https:// (or http:// for a shop on this machine)")
        return value.rstrip("/") if value else None


def _is_postgres_address(text: str) -> bool:
    return _DATABASE.fullmatch(text) is not None and _LOOSE_PERCENT.search(text) is None


@dataclass(frozen=True, kw_only=True)
class SettingLine:
    """One setting as `stockwright settings` shows it."""

    name: str
    value: str  # secrets masked, "" when unset
    default: str
    meaning: str


def variable(field: str) -> str:
    """The environment variable of a field."""
    return DATABASE_URL if field == "database_url" else PREFIX + field.upper()


def load(environ: Mapping[str, str], *, env_file: Path | None = Path(".env")) -> Settings:
    """Read the settings from an environment and, where that is silent, a `.env` file. Empty means unset.

    Raises:
        SettingsError: unknown names or unusable values; every one of them is in the message.
    """
    given = _given(environ, env_file)
    fields = {variable(field): field for field in Settings.model_fields}
    problems = [_unknown(name, fields) for name in sorted(given) if _is_ours(name) and name not in fields]
    values = {fields[name]: text for name, text in given.items() if name in fields and text != ""}
    try:
        settings = Settings.model_validate(values)
    except ValidationError as error:
        problems += [_unusable(dict(detail)) for detail in error.errors(include_url=False)]
    else:
        if not problems:
            return settings
    raise SettingsError("\n".join(problems))


def given_names(environ: Mapping[str, str], *, env_file: Path | None = Path(".env")) -> frozenset[str]:
    """The variables that the environment, or a `.env` file, sets to something."""
    return frozenset(name for name, text in _given(environ, env_file).items() if text)


def _given(environ: Mapping[str, str], env_file: Path | None) -> dict[str, str]:
    return {**_from_file(env_file), **environ}


def _from_file(path: Path | None) -> dict[str, str]:
    if path is None or not path.is_file():
        return {}
    return {name: value or "" for name, value in dotenv_values(path, interpolate=False).items()}


def _is_ours(name: str) -> bool:
    return name.startswith(PREFIX) and not name.startswith(TEST_PREFIX)


def _unknown(name: str, known: Mapping[str, str]) -> str:
    near = difflib.get_close_matches(name.removeprefix(PREFIX).lower(), known.values(), n=1)
    hint = f"Did you mean {variable(near[0])}?" if near else "`stockwright settings` lists all settings."
    return f"There is no setting {name}. {hint}"


def _unusable(detail: dict[str, Any]) -> str:
    field = str(detail["loc"][0])
    message = str(detail["msg"]).removeprefix("Value error, ")
    shown = "" if _is_secret(Settings.model_fields[field]) else f" (it is {detail['input']!r})"
    return f"{variable(field)} cannot be used{shown}: {message[:1].lower()}{message[1:]}."


def _is_secret(field: FieldInfo) -> bool:
    return "SecretStr" in str(field.annotation)


def describe(settings: Settings) -> list[SettingLine]:
    """Every setting with its value (secrets masked), default and meaning, in the table's order."""
    return [
        SettingLine(
            name=variable(name),
            value=_shown(getattr(settings, name)),
            default=_shown(field.default),
            meaning=field.description or "",
        )
        for name, field in Settings.model_fields.items()
    ]


def _shown(value: object) -> str:
    match value:
        case None:
            return ""
        case SecretStr():
            return _MASK
        case float():
            return f"{value:g}"
        case _:
            return str(value)
