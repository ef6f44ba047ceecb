"""A mailbox on loopback that speaks as much IMAP as the reader of returned mail does (RFC 9051)."""

import re
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass
class Mails:
    """What lies in the mailbox; `seen` holds the numbers, from 1, that were marked."""

    mails: list[bytes] = field(default_factory=list)
    seen: set[int] = field(default_factory=set)
    breaks_at: int = 0  # the connection ends when this mail is fetched


class _Session(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        self.say("* OK ready")
        while line := self.rfile.readline():
            tag, command, rest = [*line.decode().strip().split(" ", 2), "", ""][:3]
            if not self.answer(tag, command.upper(), rest):
                return

    def say(self, text: str) -> None:
        self.wfile.write(text.encode() + b"\r\n")

    def answer(self, tag: str, command: str, rest: str) -> bool:
        box: Mails = self.server.box  # type: ignore[attr-defined]
        if command == "CAPABILITY":
            self.say("* CAPABILITY IMAP4rev1")
        elif command == "LOGIN" and rest != 'bounces "secret"':
            self.say(f"{tag} NO wrong user or password")
            return True
        elif command == "SELECT":
            self.say(f"* {len(box.mails)} EXISTS")
        elif command == "UID" and not self.uid(box, rest):
            return False
        elif command == "LOGOUT":
            self.say("* BYE")
        self.say(f"{tag} OK done")
        return command != "LOGOUT"

    def uid(self, box: Mails, rest: str) -> bool:
        command, _, arguments = rest.partition(" ")
        if command == "SEARCH":
            unseen = [str(no) for no in range(1, len(box.mails) + 1) if no not in box.seen]
            self.say(f"* SEARCH {' '.join(unseen)}".strip())
            return True
        number = int(re.match(r"\d+", arguments)[0])  # type: ignore[index]
        data = box.mails[number - 1]
        if "SIZE" in arguments:
            self.say(f"* {number} FETCH (UID {number} RFC822.SIZE {len(data)})")
        elif "BODY" in arguments:
            if number == box.breaks_at:
                return False
            self.wfile.write(
                f"* {number} FETCH (UID {number} BODY[] {{{len(data)}}}\r\n".encode() + data + b")\r\n"
            )
        else:
            box.seen.add(number)
        return True


@contextmanager
def imap_server(*mails: bytes) -> Iterator[tuple[int, Mails]]:
    """A server with these mails, for user `bounces` with password `secret`; its port, and what becomes of them."""
    box = Mails(mails=list(mails))
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), _Session) as server:
        server.daemon_threads = True
        server.box = box  # type: ignore[attr-defined]
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server.server_address[1], box
        server.shutdown()
        thread.join()
