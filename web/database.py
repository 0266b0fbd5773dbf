"""The database behind the store: SQLite in the data folder, or PostgreSQL by URL; opened, migrated, and known when it is away.

SQLite in WAL with synchronous=NORMAL: a commit costs about 0.4 ms and survives a killed process. ``secure_delete``
overwrites what is deleted; a truncating checkpoint then empties the journal that may still hold it.
The only import of asyncpg.
"""

import asyncio
import contextlib
import threading
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

import alembic.command
import alembic.config
import alembic.script
import asyncpg
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

_MIGRATIONS: Final = Path(__file__).parent / "migrations"
_MIGRATING: Final = threading.Lock()  # Alembic keeps its state in the module
_CONNECT_S: Final = 2.0
_ANSWER_S: Final = 10.0
# A process that stands still in the middle of a transaction holds the rows it has changed: a call's lease among them, which
# nobody could take over. The server ends its transaction, and it learns of that when it goes on.
_SETTINGS: Final = {"application_name": "sottovoce", "idle_in_transaction_session_timeout": "2000"}
_ONE_AT_A_TIME: Final = 5077  # key of the advisory lock; any number that nobody else in this database uses


class StoreAway(Exception):
    """The database does not answer now. Whether it did what was asked last is not known."""


class DatabaseRefused(ValueError):
    """The database cannot be used at all; the message is for a person and holds no password."""


class Database:
    """``writes`` go one at a time on SQLite (it has one writer; a queue of ours is fairer than its busy wait)."""

    def __init__(self, folder: Path, engine: AsyncEngine) -> None:
        self.folder, self.engine = folder, engine
        self.sqlite = engine.dialect.name == "sqlite"
        self._writing: contextlib.AbstractAsyncContextManager[Any] = asyncio.Lock() if self.sqlite else contextlib.nullcontext()

    @classmethod
    async def open(cls, folder: Path, url: str = "", *, migrate: bool = True, patience_s: float = 0.0) -> Self:
        """Creates the folder and runs the migrations that are due. ``url``: of PostgreSQL; empty is SQLite in the folder.
        ``migrate`` False: another process of ours has just done it (PostgreSQL only). ``patience_s``: how long PostgreSQL
        may need to come up, where all servers start at once.

        Raises StoreAway, or DatabaseRefused when PostgreSQL turns us away.
        """
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        (folder / "audio").mkdir(exist_ok=True)
        if url:
            return cls(folder, await _patiently(url, time.monotonic() + patience_s, migrate=migrate))
        file = folder / "sottovoce.sqlite3"
        await asyncio.to_thread(_migrate_file, file)
        engine = create_async_engine(f"sqlite+aiosqlite:///{file}", pool_size=5)
        sa.event.listen(engine.sync_engine, "connect", _pragmas)
        return cls(folder, engine)

    async def close(self) -> None:
        await self.engine.dispose()

    @contextlib.asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncConnection]:
        """A transaction, committed when the block is left. Raises StoreAway."""
        with self._known_when_away():
            async with self._writing, self.engine.begin() as connection:
                yield connection

    async def rows(self, query: Any) -> list[Any]:
        """Raises StoreAway."""
        with self._known_when_away():
            async with self.engine.connect() as connection:
                return [row._mapping for row in await connection.execute(query)]

    async def row(self, query: Any) -> Any | None:
        return next(iter(await self.rows(query.limit(1))), None)

    async def alone(self, connection: AsyncConnection) -> None:
        """First in a transaction: until it ends no other of any process passes here. For what is looked up and then made."""
        if self.sqlite:
            await connection.exec_driver_sql("BEGIN IMMEDIATE")
        else:
            await connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_ONE_AT_A_TIME)))

    @property
    def now(self) -> Any:
        """The database's own clock as an SQL expression, in seconds since 1970; every process reads the same one."""
        if self.sqlite:
            return sa.literal_column("((julianday('now') - 2440587.5) * 86400.0)", sa.Float())
        return sa.literal_column("EXTRACT(EPOCH FROM clock_timestamp())::float8", sa.Float())

    async def sweep(self, *tables: str) -> None:
        """After a deletion: what the files of the database still hold of deleted rows goes too, as far as they let us."""
        with self._known_when_away():
            if self.sqlite:
                async with self._writing, self.engine.connect() as connection:
                    await connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
                return
            async with self.engine.connect() as connection:
                await connection.execution_options(isolation_level="AUTOCOMMIT")
                for table in tables:
                    await connection.exec_driver_sql(f"VACUUM {table}")

    @contextlib.contextmanager
    def _known_when_away(self) -> Iterator[None]:
        """SQLite is a file of ours: it is never away, and what fails there is a fault. PostgreSQL comes back."""
        if self.sqlite:
            yield
            return
        with _postgres_errors():
            yield


@contextlib.contextmanager
def _postgres_errors() -> Iterator[None]:
    try:
        yield
    except sa.exc.DBAPIError as failure:
        if failure.connection_invalidated or _away(getattr(failure.orig, "sqlstate", None)) or _not_connected(failure.orig):
            raise StoreAway(type(failure.orig).__name__) from failure
        raise
    except (OSError, TimeoutError, sa.exc.TimeoutError, asyncpg.InterfaceError) as failure:  # raw, while connecting
        raise StoreAway(type(failure).__name__) from failure
    except asyncpg.PostgresError as failure:
        if _away(failure.sqlstate):
            raise StoreAway(type(failure).__name__) from failure
        raise


def _not_connected(failure: BaseException | None) -> bool:
    cause = failure.__cause__ if failure is not None else None
    return isinstance(cause, asyncpg.InterfaceError | OSError)


def _away(state: str | None) -> bool:
    """Connection exceptions, too many connections, a server that goes down or comes up, a transaction that stood still (PostgreSQL,
    appendix A)."""
    return state is not None and (state.startswith("08") or state in ("53300", "57P01", "57P02", "57P03", "57P05", "25P03"))


async def _patiently(url: str, until: float, *, migrate: bool) -> AsyncEngine:
    while True:
        try:
            return await _postgres(url, migrate=migrate)
        except StoreAway:
            if time.monotonic() >= until:
                raise
            await asyncio.sleep(0.5)


async def _postgres(url: str, *, migrate: bool) -> AsyncEngine:
    engine = create_async_engine(
        plain_url(url),
        pool_size=5,
        max_overflow=15,
        pool_timeout=3,
        pool_pre_ping=True,  # after a restart every connection in the pool is dead
        connect_args={"timeout": _CONNECT_S, "command_timeout": _ANSWER_S, "server_settings": _SETTINGS},
    )
    if not migrate:
        return engine
    try:
        with _postgres_errors():
            async with engine.begin() as connection:
                await connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_ONE_AT_A_TIME)))
                await connection.run_sync(_migrate)
    except StoreAway:
        await engine.dispose()
        raise
    except (sa.exc.DBAPIError, asyncpg.PostgresError) as refused:
        await engine.dispose()
        said = getattr(refused, "orig", refused)
        raise DatabaseRefused(f"PostgreSQL refuses SOTTOVOCE_DATABASE ({type(said).__name__}): {said}") from refused
    return engine


@dataclass(frozen=True, slots=True)
class Seen:
    """A PostgreSQL as it stands. ``revision``: of its tables, empty for none; ``newest``: ours; ``known``: all of ours.

    ``ahead_s``: its clock less this computer's. ``connected`` of ``connections`` are in use."""

    version: str
    answer_s: float
    revision: str
    newest: str
    known: frozenset[str]
    ahead_s: float
    connections: int
    connected: int


async def look(url: str) -> Seen:
    """Changes nothing. Raises StoreAway, DatabaseRefused."""
    script = alembic.script.ScriptDirectory(str(_MIGRATIONS))
    known = frozenset(each.revision for each in script.walk_revisions())
    where = plain_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    try:
        with _postgres_errors():
            connection = await asyncpg.connect(where, timeout=_CONNECT_S, command_timeout=_ANSWER_S)
            try:
                began, zero = time.monotonic(), time.time()
                now = float(await connection.fetchval("SELECT EXTRACT(EPOCH FROM clock_timestamp())::float8"))
                answer_s = time.monotonic() - began
                tables = await connection.fetchval("SELECT to_regclass('alembic_version') IS NOT NULL")
                revision = await connection.fetchval("SELECT version_num FROM alembic_version") if tables else None
                version = await connection.fetchval("SHOW server_version")
                connections = int(await connection.fetchval("SHOW max_connections"))
                connected = int(await connection.fetchval("SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'"))
            finally:
                await connection.close(timeout=_CONNECT_S)
    except asyncpg.PostgresError as refused:
        raise DatabaseRefused(f"PostgreSQL refuses SOTTOVOCE_DATABASE ({type(refused).__name__}): {refused}") from refused
    newest = script.get_current_head() or ""
    ahead_s = now - (zero + answer_s / 2)
    return Seen(str(version).split()[0], answer_s, revision or "", newest, known, ahead_s, connections, connected)


def plain_url(url: str) -> sa.URL:
    """The URL as SQLAlchemy wants it. Raises DatabaseRefused."""
    try:
        parsed = sa.make_url(url)
    except sa.exc.ArgumentError:
        parsed = sa.make_url("none://")
    if parsed.drivername not in ("postgresql", "postgres", "postgresql+asyncpg"):
        raise DatabaseRefused("SOTTOVOCE_DATABASE is empty (SQLite in the data folder) or postgresql://USER:PASSWORD@HOST/DATABASE.")
    return parsed.set(drivername="postgresql+asyncpg")


def _pragmas(connection: Any, _record: Any) -> None:
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON", "secure_delete=ON", "busy_timeout=5000"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _migrate(connection: sa.Connection) -> None:
    config = alembic.config.Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    config.attributes["connection"] = connection
    alembic.command.upgrade(config, "head")


def _migrate_file(file: Path) -> None:
    engine = sa.create_engine(f"sqlite:///{file}")
    try:
        with _MIGRATING, engine.begin() as connection:
            _migrate(connection)
    finally:
        engine.dispose()
    file.chmod(0o600)
