"""What happens in a call while PostgreSQL is away: a file on this machine that keeps its events until they can be copied.

One JSON line an event, on disk before anybody is shown it. The file is locked by the process that writes it; one that
nobody locks was left by a dead process, and recover() copies it. Events are lost only with this machine's disk.
"""

import asyncio
import contextlib
import fcntl
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Final

import structlog

from coaching.events import Logged

logger = structlog.get_logger()
SUFFIX: Final = ".jsonl"


class Journal:
    """Of one call and one epoch. Nothing is made before the first append."""

    def __init__(self, folder: Path, call: str, epoch: int) -> None:
        self.file = folder / f"{call}.{epoch}{SUFFIX}"
        self._open: IO[bytes] | None = None

    def append(self, logged: Sequence[Logged]) -> None:
        """Blocks until they are on the disk."""
        if self._open is None:
            self.file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._open = os.fdopen(os.open(self.file, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600), "ab")
            fcntl.flock(self._open, fcntl.LOCK_EX | fcntl.LOCK_NB)
        self._open.write(b"".join(each.model_dump_json().encode() + b"\n" for each in logged))
        self._open.flush()
        os.fsync(self._open.fileno())

    def read(self) -> list[Logged]:
        return _events(self.file) if self.file.exists() else []

    def clear(self) -> None:
        """Everything in it is in the database."""
        self.file.unlink(missing_ok=True)
        self.close()

    def close(self) -> None:
        """What is in it stays for recover()."""
        if self._open is not None:
            self._open.close()
            self._open = None


class Left:
    """A journal whose writer is dead, locked by us."""

    def __init__(self, file: Path, lock: IO[bytes]) -> None:
        self.file, self._lock = file, lock
        self.call, epoch = file.name.removesuffix(SUFFIX).rsplit(".", 1)
        self.epoch = int(epoch)

    async def read(self) -> list[Logged]:
        return await asyncio.to_thread(_events, self.file)

    def forget(self) -> None:
        self.file.unlink(missing_ok=True)


@contextlib.contextmanager
def left_behind(folder: Path) -> Iterator[list[Left]]:
    """The journals of dead processes; while the block runs no other process takes them."""
    with contextlib.ExitStack() as locks:
        found = []
        for file in sorted(folder.glob(f"*.*{SUFFIX}")):
            with contextlib.suppress(OSError, ValueError):
                lock = file.open("rb")
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    if file.stat().st_ino != os.fstat(lock.fileno()).st_ino:
                        raise OSError  # copied meanwhile
                    found.append(Left(file, lock))
                except (OSError, ValueError):
                    lock.close()
                    raise
                locks.enter_context(lock)
        yield found


def _events(file: Path) -> list[Logged]:
    """Of a last line that was cut off by a crash nobody was shown anything."""
    events = []
    for line in file.read_bytes().splitlines():
        try:
            events.append(Logged.model_validate_json(line))
        except ValueError:
            logger.warning("a line of a journal is cut off", call=file.name.split(".")[0])
            break
    return events
