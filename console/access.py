"""Access to the console: passwords as scrypt hashes, a token, sessions in a signed cookie, checks of Host and Origin.

Login is required unless the console is bound to loopback and neither users nor a token are set.

Why there is no CSRF token: no request that another site can make a browser send changes anything. An acknowledgement
or a silence uses the page's websocket, addressed to a page object whose random id only the HTML served to a logged-in
user contains; the handshake itself, and every POST, is refused unless its Origin is this console, and the cookie is
``SameSite=Lax`` and ``HttpOnly``. Each such action checks the session again. Where no login is required, the Host must
be a loopback name, so a foreign name that resolves to 127.0.0.1 is refused.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import secrets
import time
from collections import deque
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from console.errors import AccessError

SESSION_S = 12 * 3600
_N, _R, _P = 2**15, 8, 1
_MEMORY = 64 * 1024 * 1024
_FAILURES, _FAILURES_S = 10, 300.0


def hash_password(password: str) -> str:
    """Return ``scrypt$N$r$p$salt$key`` (hex), the second field of a line of the users file."""
    salt = secrets.token_bytes(16)
    return f"scrypt${_N}${_R}${_P}${salt.hex()}${_key(password, salt, _N, _R, _P).hex()}"


def verify(password: str, stored: str) -> bool:
    """Whether a password matches a hash of `hash_password`."""
    try:
        _, n, r, p, salt, key = stored.split("$")
        return hmac.compare_digest(_key(password, bytes.fromhex(salt), int(n), int(r), int(p)), bytes.fromhex(key))
    except ValueError:
        return False


def _key(password: str, salt: bytes, n: int, r: int, p: int) -> bytes:
    return hashlib.scrypt(password.encode(), salt=salt, n=n, r=r, p=p, maxmem=_MEMORY, dklen=32)


def read_users(path: Path) -> dict[str, str]:
    """Return name → hash.

    Raises
    ------
    AccessError : if the file can't be read or a line is not ``name:hash``, naming the line.
    """
    users = {}
    try:
        lines = path.read_text("utf-8").splitlines()
    except OSError as error:
        raise AccessError(f"the users file of the console can't be read: {error}") from error
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.startswith("#"):
            continue
        name, _, hashed = line.strip().partition(":")
        if not name or not hashed.startswith("scrypt$"):
            raise AccessError(
                f"{path} line {number}: expected name:scrypt$…, as `marginwatch console-password NAME` prints it"
            )
        users[name] = hashed
    return users


def is_loopback(host: str) -> bool:
    """Whether an address is reachable from this machine only."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


@dataclass(slots=True)
class Access:
    """Checks passwords, sessions, hosts and origins.

    Parameters
    ----------
    host : the address that the console is bound to.
    users_file : lines ``name:hash``; read again when it changes, so that a removed user loses access at once.
    token : the password of every name that is not in the users file; empty for none.
    public_url : the console's address behind a proxy; empty if there is none.
    """

    host: str
    users_file: Path | None = None
    token: str = ""
    public_url: str = ""
    _users: dict[str, str] = field(default_factory=dict)
    _stamp: int = -1
    _ended: set[str] = field(default_factory=set)
    _failures: dict[str, deque[float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.users()
        if not is_loopback(self.host) and not self.required:
            raise AccessError(
                f"the console would be open to everybody who reaches {self.host}: set "
                "MARGINWATCH_CONSOLE_USERS_FILE or MARGINWATCH_CONSOLE_TOKEN, or bind it to 127.0.0.1"
            )

    @property
    def required(self) -> bool:
        """Whether login is required."""
        return self.users_file is not None or bool(self.token)

    def users(self) -> dict[str, str]:
        """The users of the current file."""
        if self.users_file is not None:
            stamp = self.users_file.stat().st_mtime_ns if self.users_file.exists() else 0
            if stamp != self._stamp:
                self._users, self._stamp = read_users(self.users_file), stamp
        return self._users

    def login(self, name: str, password: str, address: str) -> dict[str, Any] | None:
        """Return a session for the cookie; None if name and password do not match, or after too many failures."""
        if self.blocked(address):
            return None
        hashed = self.users().get(name)
        if hashed is None:
            valid = bool(self.token) and bool(name) and hmac.compare_digest(password.encode(), self.token.encode())
        else:
            valid = verify(password, hashed)
        if not valid:
            self._failures.setdefault(address, deque(maxlen=_FAILURES)).append(time.monotonic())
            return None
        self._failures.pop(address, None)
        return {"user": name, "of": self._fingerprint(name), "at": int(time.time()), "sid": secrets.token_hex(8)}

    def blocked(self, address: str) -> bool:
        """Whether an address has failed too often within five minutes."""
        failed = self._failures.get(address, deque())
        return len(failed) == _FAILURES and time.monotonic() - failed[0] < _FAILURES_S

    def logout(self, session: MutableMapping[str, Any]) -> None:
        """End a session, also in pages that are still open."""
        self._ended.add(session.get("sid", ""))
        for name in ("user", "of", "at", "sid"):
            session.pop(name, None)

    def user(self, session: Mapping[str, Any], bearer: str = "") -> str | None:
        """Return the user's name, "" where no login is required; None if the user must log in."""
        if not self.required:
            return ""
        if self.token and bearer and hmac.compare_digest(bearer.encode(), self.token.encode()):
            return "token"
        name = session.get("user")
        if (
            not isinstance(name, str)
            or session.get("sid") in self._ended
            or time.time() - session.get("at", 0) > SESSION_S
            or session.get("of") != self._fingerprint(name)
        ):
            return None
        return name

    def _fingerprint(self, name: str) -> str:
        """Return a hash of the password or the token: changing it ends the sessions of the old one."""
        secret = self.users().get(name, self.token)
        return hashlib.sha256(f"{name}:{secret}".encode()).hexdigest()[:16]

    def host_allowed(self, host: str) -> bool:
        """Whether a request may name this host: any where login is required, loopback names otherwise."""
        return self.required or is_loopback(urlsplit(f"//{host}").hostname or "")

    def same_origin(self, origin: str, host: str) -> bool:
        """Whether a request originates from a page of this console."""
        found = urlsplit(origin)
        return bool(found.netloc) and found.netloc in (host, urlsplit(self.public_url).netloc)
