"""DKIM: signing what we send with a key of the sender's domain (RFC 6376), so that receivers know it is theirs.

RFC 8058 wants List-Unsubscribe and List-Unsubscribe-Post under the signature; both are always among the signed headers.
"""

import base64
import hashlib
import re
from dataclasses import dataclass, field, replace
from email import message_from_bytes
from email.utils import parseaddr

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key

from stockwright.mail.addresses import MailRefused
from stockwright.mail.message import Letter

SIGNED = (
    "From", "To", "Subject", "Date", "Message-ID", "Reply-To", "MIME-Version", "Content-Type", "Auto-Submitted",
    "List-Unsubscribe", "List-Unsubscribe-Post",
)  # fmt: skip
LEAST_BITS = 1024  # RFC 8301
_MADE_BITS = 2048
_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?", re.IGNORECASE)
_TXT_PART = 255  # characters of one string of a TXT record


@dataclass(frozen=True, kw_only=True)
class DkimKey:
    """A domain's signing key. Checked when it is made.

    Raises:
        MailRefused: no usable RSA key, or the domain or selector is no DNS name.
    """

    domain: str  # of the From address, or above it
    selector: str
    pem: str = field(repr=False)  # the private key, PEM

    def __post_init__(self) -> None:
        for what, name in (("domain", self.domain), ("selector", self.selector)):
            if not name or not all(_LABEL.fullmatch(label) for label in name.split(".")):
                raise MailRefused(f"The DKIM {what} {name!r} is not a DNS name.")
        bits = _private_key(self.pem).key_size
        if bits < LEAST_BITS:
            raise MailRefused(f"The DKIM key has {bits} bits; receivers want at least {LEAST_BITS}.")

    @property
    def digest(self) -> str:
        """Changes with the key, its domain and its selector."""
        return hashlib.sha256(repr((self.domain, self.selector, self.pem)).encode()).hexdigest()[:16]

    @property
    def record_name(self) -> str:
        """The DNS name at which receivers look the public key up."""
        return f"{self.selector}._domainkey.{self.domain}"

    @property
    def record(self) -> str:
        """The text of the TXT record, in quoted strings of at most 255 characters as zone files have them."""
        public = _private_key(self.pem).public_key()
        der = public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
        text = f"v=DKIM1; k=rsa; p={base64.b64encode(der).decode()}"
        parts = [text[start : start + _TXT_PART] for start in range(0, len(text), _TXT_PART)]
        return " ".join(f'"{part}"' for part in parts)

    def check_sender(self, address: str) -> None:
        """Receivers count a signature only for senders of its domain.

        Raises:
            MailRefused: the address is not of the key's domain, nor below it.
        """
        host = address.rpartition("@")[2].lower()
        if host != self.domain.lower() and not host.endswith("." + self.domain.lower()):
            raise MailRefused(
                f"The DKIM key is of {self.domain} and the sender's address of {host}: receivers would not count it."
            )

    def sign(self, letter: Letter) -> Letter:
        """The letter with a DKIM-Signature in front. Takes some 15 ms of a core: not for an event loop.

        Raises:
            MailRefused: the sender's address is not of the key's domain.
        """
        import dkim  # brings a DNS library: 0.1 s of every start, for those who have a key

        present = message_from_bytes(letter.data)
        self.check_sender(parseaddr(str(present["From"]))[1])
        signature = dkim.sign(
            letter.data,
            self.selector.encode(),
            self.domain.encode(),
            self.pem.encode(),
            canonicalize=(b"relaxed", b"relaxed"),
            include_headers=[name.lower().encode() for name in SIGNED if name in present],
        )
        return replace(letter, data=signature + letter.data)


def new_key(domain: str, selector: str) -> DkimKey:
    """A fresh RSA key of 2,048 bits."""
    key = generate_private_key(public_exponent=65537, key_size=_MADE_BITS)
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    )
    return DkimKey(domain=domain, selector=selector, pem=pem.decode())


def _private_key(pem: str) -> RSAPrivateKey:
    try:
        key = serialization.load_pem_private_key(pem.encode(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise MailRefused(
            "The DKIM key is not a private key in PEM form without a password; it begins with "
            "“-----BEGIN PRIVATE KEY-----” or “-----BEGIN RSA PRIVATE KEY-----”."
        ) from error
    if not isinstance(key, RSAPrivateKey):
        raise MailRefused("The DKIM key is not an RSA key; receivers widely understand no other.")
    return key
