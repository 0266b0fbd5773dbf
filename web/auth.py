"""Who may do what: an agent's session by a one-time link, and a prospect's seat in one call by another.

Tokens have 256 random bits; the database keeps their SHA-256 only, so a copy of it opens nothing.
"""

import hashlib
import secrets
import time
from dataclasses import dataclass
from typing import Final

import sqlalchemy as sa
from starlette.requests import HTTPConnection

from web.problems import Problem
from web.store import Store, new_id
from web.tables import calls, links, sessions, sign_ins, users

SESSION: Final = "sottovoce_session"
SEAT: Final = "sottovoce_seat"
SESSION_S: Final = 30 * 86_400.0
_SIGN_IN_S: Final = 3600.0
LINK_S: Final = 12 * 3600.0  # or until the call ends, whichever comes first


@dataclass(frozen=True, slots=True)
class User:
    id: str
    name: str
    role: str


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


class Doors:
    """Makes tokens and recognises them."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def sign_in_token(self) -> str:
        """A one-time token for the owner of this installation, who is entered at the first one."""
        token, now = secrets.token_urlsafe(32), time.time()
        async with self._store.write() as connection:
            await self._store.alone(connection)  # two servers that start at once enter one owner
            owner = (await connection.execute(sa.select(users.c.id).where(users.c.role == "owner"))).scalar()
            user = owner or new_id()
            if owner is None:
                await connection.execute(sa.insert(users).values(id=user, name="Owner", role="owner", created_at=now))
            await connection.execute(sa.delete(sign_ins).where(sign_ins.c.expires_at < now))
            await connection.execute(sa.insert(sign_ins).values(token=_hash(token), user=user, expires_at=now + _SIGN_IN_S))
        return token

    async def anybody_signed_in(self) -> bool:
        return await self._store.row(sa.select(sessions.c.user).where(sessions.c.expires_at > time.time())) is not None

    async def sign_in(self, token: str) -> str | None:
        """A session's token for a one-time token, which is used up; None when it is unknown, used or too old."""
        now, session = time.time(), secrets.token_urlsafe(32)
        async with self._store.write() as connection:
            found = (await connection.execute(sa.select(sign_ins).where(sign_ins.c.token == _hash(token)))).first()
            if found is None or found.expires_at < now:
                return None
            await connection.execute(sa.delete(sign_ins).where(sign_ins.c.token == _hash(token)))
            await connection.execute(sa.delete(sessions).where(sessions.c.expires_at < now))
            await connection.execute(sa.insert(sessions).values(token=_hash(session), user=found.user, expires_at=now + SESSION_S))
        return session

    async def sign_out(self, connection: HTTPConnection) -> None:
        async with self._store.write() as open_:
            await open_.execute(sa.delete(sessions).where(sessions.c.token == _hash(connection.cookies.get(SESSION, ""))))

    async def user(self, connection: HTTPConnection) -> User | None:
        query = sa.select(users).join(sessions, sessions.c.user == users.c.id)
        query = query.where(sessions.c.token == _hash(connection.cookies.get(SESSION, "")), sessions.c.expires_at > time.time())
        found = await self._store.row(query)
        return User(found["id"], found["name"], found["role"]) if found else None

    async def signed_in(self, connection: HTTPConnection) -> User:
        """Raises Problem 401."""
        user = await self.user(connection)
        if user is None:
            raise Problem(401, "You are not signed in here. Run `sottovoce sign-in` on the server and open the link that it prints.")
        return user

    async def link(self, call: str) -> tuple[str, float]:
        """(token, expires_at) of a new link into this call."""
        token, expires_at = secrets.token_urlsafe(32), time.time() + LINK_S
        async with self._store.write() as connection:
            await connection.execute(sa.insert(links).values(token=_hash(token), call=call, expires_at=expires_at))
        return token, expires_at

    async def seat(self, token: str) -> str | None:
        """The live call that a link leads to."""
        query = sa.select(links.c.call).join(calls, calls.c.id == links.c.call)
        found = await self._store.row(
            query.where(links.c.token == _hash(token), links.c.expires_at > time.time(), calls.c.ended_at.is_(None))
        )
        return str(found["call"]) if found else None
