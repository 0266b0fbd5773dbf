"""Who runs a call: a lease in the database, by the database's clock, with an epoch that rises whenever the call changes hands.

A holder renews; each append to the log renews too. Nobody takes over a living call:

* a lease ends when its holder was not heard of for ``length_s``, by the one clock that all see;
* an absent database is nobody's death: when it was away (it was started again, or nobody had reached it for half a
  lease), one whole lease passes before anything counts as expired, so that every living holder can renew first;
* takeover() names the epoch it saw, so of two that try one wins; what the older holder still appends is refused.
"""

from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from web.store import Store
from web.tables import calls, leases, watches

DEFAULT_LEASE_S: Final = 3.0
_WATCH: Final = "calls"


class TakenOver(Exception):
    """Somebody else runs this call now: what this process still has to say of it is refused, and its run must end."""


@dataclass(frozen=True, slots=True)
class Lease:
    """What a holder has in its hand."""

    call: str
    holder: str
    epoch: int


@dataclass(frozen=True, slots=True)
class Vacant:
    """A live call that nobody runs: its holder is dead or gave it back. ``epoch`` is what takeover() wants to see."""

    call: str
    mode: str
    holder: str
    epoch: int


class Leases:
    """``length_s``: a holder should renew four times as often; whoever watches should look each eighth of it."""

    def __init__(self, store: Store, length_s: float = DEFAULT_LEASE_S) -> None:
        self._store, self.length_s = store, length_s

    async def acquire(self, call: str, holder: str) -> Lease | None:
        """A call that was never held or was given back; None when somebody has it, dead or alive. Raises StoreAway."""
        async with self._store.write() as connection:
            made = self._insert(leases).values(call=call, holder=holder, epoch=1, until=self._until)
            made = made.on_conflict_do_update(
                index_elements=["call"],
                set_={"holder": holder, "epoch": leases.c.epoch + 1, "until": self._until},
                where=leases.c.holder == "",
            )
            epoch = (await connection.execute(made.returning(leases.c.epoch))).scalar()
        return Lease(call, holder, epoch) if epoch is not None else None

    async def takeover(self, call: str, holder: str, seen: int) -> Lease | None:
        """From whoever had epoch ``seen`` (of vacant(), or handed on by a dispatcher); None when another was faster."""
        update = sa.update(leases).where(leases.c.call == call, leases.c.epoch == seen)
        update = update.values(holder=holder, epoch=seen + 1, until=self._until)
        async with self._store.write() as connection:
            won = (await connection.execute(update)).rowcount
        return Lease(call, holder, seen + 1) if won else None

    async def claim(self, call: str, seen: int, for_s: float, *, own: str = "") -> bool:
        """A vacant call (or one that ``own`` holds) is ours to find a holder for, during ``for_s``; nobody else finds it vacant
        meanwhile. The epoch stays, so that whoever we find can takeover() with the one that was seen, and only one of those we
        find does."""
        ours = leases.c.holder == own if own else sa.false()
        update = sa.update(leases).where(leases.c.call == call, leases.c.epoch == seen, sa.or_(leases.c.until < self._store.now, ours))
        async with self._store.write() as connection:
            return bool((await connection.execute(update.values(until=self._store.now + for_s))).rowcount)

    async def epoch(self, call: str) -> int | None:
        """The present one; None for a call that never had a holder, or is no more."""
        row = await self._store.row(sa.select(leases.c.epoch).where(leases.c.call == call))
        return int(row["epoch"]) if row is not None else None

    async def renew(self, lease: Lease) -> None:
        """Raises TakenOver, StoreAway."""
        async with self._store.write() as connection:
            await self.fence(connection, lease)

    async def fence(self, connection: AsyncConnection, lease: Lease) -> None:
        """First in the transaction of an append: it holds the lease's row until the commit, so nobody can take over
        between the check and the insert; and it renews. Raises TakenOver."""
        update = sa.update(leases).where(leases.c.call == lease.call, leases.c.epoch == lease.epoch).values(until=self._until)
        if not (await connection.execute(update)).rowcount:
            raise TakenOver(lease.call)

    async def release(self, lease: Lease) -> None:
        """Given back, at the end or for somebody else; our own later appends are refused too. Of a lost lease: nothing."""
        update = sa.update(leases).where(leases.c.call == lease.call, leases.c.epoch == lease.epoch)
        async with self._store.write() as connection:
            await connection.execute(update.values(holder="", epoch=lease.epoch + 1, until=0.0))

    async def of(self, call: str) -> Lease | None:
        """Whoever has it now, dead or alive; None for a call that nobody has."""
        row = await self._store.row(sa.select(leases).where(leases.c.call == call, leases.c.holder != ""))
        return Lease(call, row["holder"], row["epoch"]) if row is not None else None

    async def vacant(self, modes: tuple[str, ...] = (), *, except_modes: tuple[str, ...] = ()) -> list[Vacant]:
        """Live calls (of these modes, or of all but those) whose holder is dead or gave them back. Call it often: the looks
        themselves are how we know that the database was not away. Raises StoreAway."""
        async with self._store.write() as connection:
            if not await self._settled(connection):
                return []
            query = sa.select(calls.c.id, calls.c.mode, leases.c.holder, leases.c.epoch).join(leases, leases.c.call == calls.c.id)
            query = query.where(calls.c.ended_at.is_(None), leases.c.until < self._store.now)
            if modes:
                query = query.where(calls.c.mode.in_(modes))
            query = query.where(calls.c.mode.not_in(except_modes))
            rows = (await connection.execute(query)).all()
        return [Vacant(row.id, row.mode, row.holder, row.epoch) for row in rows]

    async def _settled(self, connection: AsyncConnection) -> bool:
        """Whether the database has been here for a whole lease. Notes this look."""
        now = self._store.now
        look = self._insert(watches).values(name=_WATCH, at=now, back_at=now)
        away = look.excluded.at - watches.c.at > self.length_s / 2
        back_at = sa.case((away, look.excluded.at), else_=watches.c.back_at)
        look = look.on_conflict_do_update(index_elements=["name"], set_={"at": look.excluded.at, "back_at": back_at})
        row = (await connection.execute(look.returning(watches.c.at, watches.c.back_at))).one()
        back = float(row.back_at)
        if not self._store.sqlite:
            started = sa.select(sa.cast(sa.func.extract("epoch", sa.func.pg_postmaster_start_time()), sa.Float()))
            back = max(back, float((await connection.execute(started)).scalar_one()))
        return float(row.at) - back >= self.length_s

    @property
    def _until(self) -> Any:
        return self._store.now + self.length_s

    def _insert(self, table: sa.Table) -> Any:
        return sqlite.insert(table) if self._store.sqlite else postgresql.insert(table)
