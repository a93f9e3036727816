"""Access to the console: passwords as scrypt hashes, a token, sessions, checks of Host and Origin.

A session is stored on the server side, shared by every console, and ends everywhere at once; the signed cookie contains
only its random id. Login is required unless the console is bound to loopback and neither users nor a token are set.

Why there is no CSRF token: no request that another site can make a browser send changes anything. An acknowledgement
or a silence uses the page's websocket, addressed to a page object whose random id only the HTML served to a logged-in
user contains; the handshake itself, and every POST, is refused unless its Origin is this console, and the cookie is
``SameSite=Lax`` and ``HttpOnly``. Each such action checks the session again. Where no login is required, the Host must
be a loopback name, so a foreign name that resolves to 127.0.0.1 is refused.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import ipaddress
import secrets
import time
from collections import deque
from collections.abc import Mapping, MutableMapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

from console.errors import AccessError

SESSION_S = 12 * 3600
_N, _R, _P = 2**15, 8, 1
_MEMORY = 64 * 1024 * 1024
#: Attempts to log in within the time (seconds), by address and in all, until further ones are refused unheard.
_ATTEMPTS, _ATTEMPTS_IN_ALL, _ATTEMPTS_S = 10, 100, 300.0
#: Passwords that are hashed at the same time: each takes 32 MB.
_HASHED_AT_ONCE = 2


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


#: Verified in place of the hash of an unknown name, so that the time of an answer does not tell who is a user.
_NOBODY = f"scrypt${_N}${_R}${_P}${'00' * 16}${'00' * 32}"


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


@dataclass(frozen=True, slots=True)
class Identity:
    """Who has sent a request: a name, "" where no login is required, or the holder of the token."""

    name: str = ""
    by_token: bool = False


@dataclass(frozen=True, slots=True)
class Session:
    """A login: the user, and a hash of the password or token that was valid then."""

    user: str
    fingerprint: str


class Sessions(Protocol):
    """Stores sessions for all consoles; a method raises `AccessError` where the store does not answer."""

    async def put(self, key: str, session: Session, seconds: int) -> None:
        """Store a session for a time."""
        ...

    async def get(self, key: str) -> Session | None:
        """Return a session; None if it has ended."""
        ...

    async def delete(self, key: str) -> None:
        """End a session."""
        ...


class Attempts:
    """Counts attempts to log in, those that are still being verified and wrong bearer tokens included."""

    def __init__(self) -> None:
        self._by_address: dict[str, deque[float]] = {}
        self._all: deque[float] = deque(maxlen=_ATTEMPTS_IN_ALL)

    def blocked(self, address: str) -> bool:
        """Whether an address, or all together, have tried too often."""
        now = time.monotonic()
        self._by_address = {a: times for a, times in self._by_address.items() if now - times[-1] < _ATTEMPTS_S}
        return _full(self._by_address.get(address, deque(maxlen=_ATTEMPTS)), now) or _full(self._all, now)

    def add(self, address: str) -> float:
        """Count an attempt before it is verified; return when it began."""
        now = time.monotonic()
        for times in (self._by_address.setdefault(address, deque(maxlen=_ATTEMPTS)), self._all):
            times.append(now)
        return now

    def succeeded(self, address: str, began: float) -> None:
        """Forget an attempt that succeeded; failures count on, else a user could guess passwords between own logins."""
        for times in (self._by_address.get(address, deque()), self._all):
            with suppress(ValueError):  # later attempts have taken its place
                times.remove(began)
        if not self._by_address.get(address, True):
            del self._by_address[address]


def _full(times: deque[float], now: float) -> bool:
    return len(times) == times.maxlen and now - times[0] < _ATTEMPTS_S


@dataclass(slots=True)
class Access:
    """Checks passwords, sessions, hosts and origins.

    Parameters
    ----------
    host : the address that the console is bound to.
    sessions : where sessions are stored.
    users_file : lines ``name:hash``; read again when it changes, so that a removed user loses access at once.
    token : the password of every name that is not in the users file; empty for none.
    public_url : the console's address behind a proxy; empty if there is none.
    """

    host: str
    sessions: Sessions
    users_file: Path | None = None
    token: str = ""
    public_url: str = ""
    attempts: Attempts = field(default_factory=Attempts)
    _users: dict[str, str] = field(default_factory=dict)
    _stamp: int = -1
    _hashing: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_HASHED_AT_ONCE))

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
        """The users of the current file; raises `AccessError` if it can't be read."""
        if self.users_file is not None:
            stamp = self.users_file.stat().st_mtime_ns if self.users_file.exists() else 0
            if stamp != self._stamp:
                self._users, self._stamp = read_users(self.users_file), stamp
        return self._users

    async def login(self, name: str, password: str, address: str) -> dict[str, str] | None:
        """Return the content of the cookie of a new session; None if name and password do not match.

        Ask `Attempts.blocked` first. Every attempt takes the same work, whether or not there is a user of that name.
        """
        began = self.attempts.add(address)
        hashed = self.users().get(name)
        async with self._hashing:
            known = await asyncio.to_thread(verify, password, hashed or _NOBODY)
        by_token = bool(self.token and name) and hmac.compare_digest(password.encode(), self.token.encode())
        if not (known if hashed is not None else by_token):
            return None
        self.attempts.succeeded(address, began)
        identity = secrets.token_urlsafe(24)
        await self.sessions.put(_key_of(identity), Session(name, self._fingerprint(name)), SESSION_S)
        return {"sid": identity}

    async def logout(self, cookie: MutableMapping[str, Any]) -> None:
        """End a session, in every console and in pages that are still open."""
        await self.sessions.delete(_key_of(cookie.pop("sid", "")))

    async def identity(self, cookie: Mapping[str, Any], bearer: str = "", address: str = "") -> Identity | None:
        """Return who sends a request; None if the sender must log in.

        Ask `Attempts.blocked` before a bearer token is checked: a wrong one is an attempt of its address.

        Raises
        ------
        AccessError : if sessions or users can't be read.
        """
        if not self.required:
            return Identity()
        if self.token and bearer:
            if hmac.compare_digest(bearer.encode(), self.token.encode()):
                return Identity("token", by_token=True)
            self.attempts.add(address)
        identity = cookie.get("sid")
        if not isinstance(identity, str):
            return None
        session = await self.sessions.get(_key_of(identity))
        if session is None or not hmac.compare_digest(session.fingerprint, self._fingerprint(session.user)):
            return None
        return Identity(session.user)

    def _fingerprint(self, name: str) -> str:
        """Return a hash of the password or the token: changing it ends the sessions of the old one."""
        secret = self.users().get(name, self.token)
        return hashlib.sha256(f"{name}:{secret}".encode()).hexdigest()

    def address(self, peer: str, forwarded: str) -> str:
        """Return the address of a browser.

        Parameters
        ----------
        peer : the other end of the connection.
        forwarded : the header X-Forwarded-For; counts only behind a proxy on this machine, and only its last address,
            which that proxy has written.
        """
        return forwarded.rpartition(",")[2].strip() if self.public_url and forwarded and is_loopback(peer) else peer

    def host_allowed(self, host: str) -> bool:
        """Whether a request may name this host: any where login is required, loopback names otherwise."""
        return self.required or is_loopback(urlsplit(f"//{host}").hostname or "")

    def same_origin(self, origin: str, host: str) -> bool:
        """Whether a request originates from a page of this console."""
        found = urlsplit(origin)
        return bool(found.netloc) and found.netloc in (host, urlsplit(self.public_url).netloc)


def _key_of(identity: str) -> str:
    """Return the name under which a session is stored: whoever reads the store can't take over a session."""
    return hashlib.sha256(identity.encode()).hexdigest()
