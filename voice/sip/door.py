"""The way between the phone process and whoever analyses: JSON lines over a Unix socket. Nothing here can hold a call up.

One analysis at a time is told of the calls and may ask for their sound; others (`sottovoce doctor`) may look.
"""

import contextlib
import json
import os
import socket
import threading
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

NAME: Final = "phone.sock"
LONGEST: Final = 64 * 1024
_MOST_WAITING: Final = 1 << 20  # bytes that an analysis has not read; then it has worse troubles and is let go
_MOST_VISITORS: Final = 8


class Visitor:
    """One connection. send() never waits. ``sockets`` go along with their message (SCM_RIGHTS); ours stay open."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._waiting: deque[tuple[bytes, Sequence[socket.socket]]] = deque()
        self._held = 0
        self.gone = False

    def send(self, message: dict[str, Any], sockets: Sequence[socket.socket] = ()) -> None:
        if self.gone:
            return
        line = json.dumps(message, separators=(",", ":")).encode() + b"\n"
        self._waiting.append((line, sockets))
        self._held += len(line)
        self.flush()

    def flush(self) -> None:
        try:
            while self._waiting and not self.gone:
                line, sockets = self._waiting[0]
                numbers = [each.fileno() for each in sockets if each.fileno() >= 0]
                sent = socket.send_fds(self._connection, [line], numbers, socket.MSG_DONTWAIT)
                self._held -= sent
                self._waiting.popleft()
                if sent < len(line):
                    self._waiting.appendleft((line[sent:], ()))
        except BlockingIOError:
            if self._held > _MOST_WAITING:
                self.close()
        except OSError:
            self.close()

    def close(self) -> None:
        self.gone = True
        with contextlib.suppress(OSError):
            self._connection.shutdown(socket.SHUT_RDWR)


class Door:
    """``heard``, ``left``: called in the thread that ``hand_over`` leads to, with a visitor and what it said."""

    def __init__(
        self,
        file: Path,
        hand_over: Callable[..., None],
        heard: Callable[[Visitor, dict[str, Any]], None],
        left: Callable[[Visitor], None],
    ) -> None:
        self._file, self._hand_over, self._heard, self._left = file, hand_over, heard, left
        self._visitors: set[Visitor] = set()
        self._listening: socket.socket | None = None

    def open(self) -> None:
        """Raises OSError: another phone process is there, or the folder cannot be written."""
        self._file.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileNotFoundError, ConnectionRefusedError), socket.socket(socket.AF_UNIX) as other:
            other.connect(str(self._file))
            raise OSError(f"{self._file} is in use: a phone process runs already")
        self._file.unlink(missing_ok=True)
        self._listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        before = os.umask(0o177)  # whoever may open it may listen to calls
        try:
            self._listening.bind(str(self._file))
        finally:
            os.umask(before)
        self._listening.listen(4)
        threading.Thread(target=self._take, args=(self._listening,), daemon=True, name="door").start()

    def close(self) -> None:
        if self._listening is not None:
            with contextlib.suppress(OSError):
                self._listening.shutdown(socket.SHUT_RDWR)
            self._listening.close()
            self._file.unlink(missing_ok=True)
        for visitor in list(self._visitors):
            visitor.close()

    def flush(self) -> None:
        for visitor in list(self._visitors):
            visitor.flush()

    def _take(self, listening: socket.socket) -> None:
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            visitor = Visitor(connection)
            if len(self._visitors) >= _MOST_VISITORS:
                visitor.close()
                connection.close()
                continue
            self._visitors.add(visitor)
            threading.Thread(target=self._read, args=(connection, visitor), daemon=True, name="visitor").start()

    def _read(self, connection: socket.socket, visitor: Visitor) -> None:
        rest = b""
        with connection:
            try:
                while not visitor.gone and (data := connection.recv(65_536)):
                    *lines, rest = (rest + data).split(b"\n")
                    for line in lines:
                        message = json.loads(line)
                        if isinstance(message, dict):
                            self._hand_over(self._heard, visitor, message)
                    if len(rest) > LONGEST:
                        break
            except (OSError, ValueError):
                pass  # it went, or it talks nonsense: either way it is gone
            finally:
                visitor.gone = True
                self._visitors.discard(visitor)
                self._hand_over(self._left, visitor)
