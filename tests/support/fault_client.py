"""A POP3 client that reads, deletes and dies at random, and notes exactly what it was told."""

import contextlib
import os
import random
import socket
import struct
import threading
import time
from collections.abc import Callable
from pathlib import Path

from support.fault_log import Counts, RunLog, SessionLog, Span
from support.pop3_process import PASSWORD

PATIENT_SECONDS = 30.0
IMPATIENT_SECONDS = 2.0
LONGEST_STATUS_LINE = 512
LONGEST_LISTING_LINE = 80
_NO_LINGERING = struct.pack("ii", 1, 0)

STORE_AWAY = b"-ERR [SYS/TEMP] the server's state is out of reach"
GOING_DOWN = b"-ERR [SYS/TEMP] the server is going down"
DISMISSALS = (STORE_AWAY, GOING_DOWN)
"""Unless it answers PASS, such a line answers no command: no counter has it."""

SOME_REMAIN = b"-ERR [SYS/TEMP] some deleted messages not removed"
NONE_REMOVED = b"-ERR [SYS/TEMP] the maildrop's lock could not be held, nothing was removed"


class Gone(Exception):
    """The server, or the client's patience, was gone before the reply was complete."""


class FaultClient:
    """Runs one session after the other until `ending` is set; a polite one reads every reply to its end."""

    def __init__(
        self,
        name: str,
        usernames: list[str],
        mail: Path,
        log: RunLog,
        seed: str,
        addresses: Callable[[], list[tuple[str, int]]],
        ending: threading.Event,
        *,
        is_polite: bool = False,
    ) -> None:
        self._name = name
        self._is_polite = is_polite
        self._usernames = usernames
        self._mail = mail
        self._log = log
        self._random = random.Random(seed)
        self._addresses = addresses
        self._ending = ending

    def run(self) -> None:
        """Live until the end."""
        while not self._ending.is_set():
            username = self._random.choice(self._usernames)
            address = self._random.choice(self._addresses())
            visit = self._visit(username)
            visit.pay(address, visit.roam)
            longest_pause = 0.05 if visit.session.logged_in else 0.4
            self._ending.wait(self._random.uniform(0.0, longest_pause))

    def look(self, username: str, address: tuple[str, int]) -> SessionLog:
        """Log in, list and quit; return what came of it."""
        visit = self._visit(username)
        visit.pay(address, visit.look)
        return visit.session

    def sleep_through(
        self, address: tuple[str, int], fall_asleep: Callable[[str], None], wake: Callable[[], None]
    ) -> bool:
        """Mark mail, let the worker of this session fall asleep, and wake it by QUIT.

        Returns whether it came to that: somebody else may have the maildrop.
        """
        visit = self._visit(self._random.choice(self._usernames))
        visit.pay(address, lambda: visit.sleep_through(fall_asleep, wake))
        return visit.session.quit_sent is not None

    def _visit(self, username: str) -> "_Visit":
        session = SessionLog(self._name, username)
        return _Visit(session, self._mail, self._log, self._random, self._ending, is_polite=self._is_polite)


class _Visit:
    """One connection."""

    def __init__(
        self,
        session: SessionLog,
        mail: Path,
        log: RunLog,
        randomness: random.Random,
        ending: threading.Event,
        *,
        is_polite: bool,
    ) -> None:
        self.session = session
        self._is_polite = is_polite
        self._mail, self._log, self._random, self._run_ends = mail, log, randomness, ending
        self._buffer = b""
        self._socket = socket.socket()
        self._patience = PATIENT_SECONDS
        self._pending = Counts()
        self._got = 0
        self._numbers: dict[str, int] = {}
        self._sent_at = 0.0

    def pay(self, address: tuple[str, int], errand: Callable[[], None]) -> None:
        """Connect, do what there is to do, and go."""
        session = self.session
        if errand == self.roam and not self._is_polite:
            self._patience = IMPATIENT_SECONDS
        self._socket.settimeout(self._patience)
        try:
            self._socket.connect(address)
        except OSError as error:
            self._socket.close()
            session.ending = f"not connected: {error}"
            self._log.add_unconnected(session)
            return
        self._log.add_session(session)
        try:
            errand()
        except Gone as gone:
            session.ending = session.ending or str(gone)
            self._note_loss()
        finally:
            self._socket.close()

    def roam(self) -> None:
        """Read and delete, and go in one way or the other."""
        if self._open() and self._work():
            self._look_at_files()
            self._quit()

    def look(self) -> None:
        """List what there is."""
        if self._open():
            self._look_at_files()
            self._quit()

    def sleep_through(self, fall_asleep: Callable[[str], None], wake: Callable[[], None]) -> None:
        """Send QUIT to a worker that has slept, and wakes up only then."""
        if self._open():
            for unique_id in sorted(self._numbers)[:3]:
                self._mark(unique_id)
            fall_asleep(self.session.instance_id)
            self._quit(wake)

    def _open(self) -> bool:
        if not self._is_greeted() or not self._log_in():
            return False
        self._list()
        return True

    # The parts of a session

    def _is_greeted(self) -> bool:
        self._pending = Counts(connections=1)
        greeting = self._line()
        self._got = 0
        self._pending = Counts()
        if not greeting.startswith(b"+OK"):
            self.session.ending = f"refused: {greeting!r}"
            if not greeting.startswith(b"-ERR [SYS/TEMP]"):
                self._complain(f"was greeted with {greeting!r}")
            return False
        if self._random.random() < 0.5:
            self._patience = PATIENT_SECONDS
            self._socket.settimeout(self._patience)
        self.session.session_id = greeting.split()[-1].decode()
        # It counts once it has said something, or has stayed for a while: as yet nobody can tell.
        self.session.unsure = self.session.unsure + Counts(connections=1)
        return True

    def _log_in(self) -> bool:
        session = self.session
        self._ask(f"USER {session.username}")
        session.unsure = session.unsure - Counts(connections=1)
        session.saw(Counts(connections=1))
        session.pass_sent = time.monotonic()
        self._send(f"PASS {PASSWORD}")
        reply = self._reply(Counts(logins=1), may_be_last=True)
        if reply.startswith(b"+OK"):
            session.logged_in = time.monotonic()
            return True
        if not reply.startswith((b"-ERR [IN-USE]", b"-ERR [SYS/TEMP]")):
            self._complain(f"was refused with {reply!r}")
        session.ending = f"refused: {reply!r}"
        if reply.startswith(DISMISSALS):
            # It answered PASS, and counts, if the session goes on; at its end nobody can tell.
            self._pending = Counts(octets=len(reply) + LONGEST_STATUS_LINE)
            self._send("QUIT")
            farewell = self._line()
            session.saw(Counts(octets=len(reply) + (0 if farewell.startswith(DISMISSALS) else len(farewell))))
            self._got = 0
            self._pending = Counts()
        else:
            self._ask("QUIT")
        return False

    def _list(self) -> None:
        longest = LONGEST_STATUS_LINE + LONGEST_LISTING_LINE * len(self._log.messages_now())
        self._pending = Counts(octets=longest)
        self._send("UIDL")
        status = self._status_line()
        assert status.startswith(b"+OK"), status
        lines = []
        while (line := self._line()) != b".\r\n":
            lines.append(line.decode())
        self._answered(Counts())
        self._numbers = {unique_id: int(number) for number, unique_id in map(str.split, lines)}
        self.session.listed = set(self._numbers)

    def _work(self) -> bool:
        """Read and mark some messages; return whether to end with QUIT."""
        session = self.session
        chosen = self._random.sample(
            sorted(self._numbers), min(len(self._numbers), self._random.randint(0, 6))
        )
        manner = self._random.random()
        for unique_id in chosen:
            self._retrieve(unique_id)
            if self._random.random() < 0.7:
                self._mark(unique_id)
            if self._random.random() < 0.3:
                self._run_ends.wait(self._random.uniform(0.0, 0.5))
        if self._random.random() < 0.1:
            assert self._ask("RSET").startswith(b"+OK")
            session.marked.clear()
        if manner < 0.1:
            self._ask("NOOP")
            session.ending = "client closed without QUIT"
            return False
        if manner < 0.2 and chosen and not self._is_polite:
            self._die_in_the_middle(chosen[0])
            return False
        if manner < 0.35:
            self._run_ends.wait(self._random.uniform(0.5, 3.0))
        return True

    def _mark(self, unique_id: str) -> None:
        reply = self._ask(f"DELE {self._numbers[unique_id]}")
        assert reply.startswith(b"+OK"), reply
        self.session.marked.add(unique_id)

    def _retrieve(self, unique_id: str) -> None:
        wire = self._log.messages_now()[unique_id].wire
        self._pending = Counts(octets=LONGEST_STATUS_LINE + len(wire), retrieved=1)
        self._send(f"RETR {self._numbers[unique_id]}")
        status = self._status_line()
        if status.startswith(b"+OK"):
            got = self._octets(len(wire))
            self._answered(Counts(retrieved=1))
            if got != wire:
                self._complain(f"got other octets of {unique_id} than were delivered")
        else:
            self._answered(Counts())
            self.session.vanished[unique_id] = Span(self._sent_at, time.monotonic())

    def _die_in_the_middle(self, unique_id: str) -> None:
        self.session.ending = "client died"
        if unique_id not in self.session.marked:
            wire = self._log.messages_now()[unique_id].wire
            self._pending = Counts(octets=LONGEST_STATUS_LINE + len(wire), retrieved=1)
            self._send(f"RETR {self._numbers[unique_id]}")
            self._receive()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGERING)
        raise Gone

    def _look_at_files(self) -> None:
        """As long as the maildrop is ours, nobody else's session removes anything."""
        missing = set(self._numbers) - self._present()
        # One that moves from `new` to `cur` between the two looks is in neither.
        for _ in range(3):
            if missing:
                missing -= self._present()
        now = time.monotonic()
        for unique_id in missing:
            self.session.vanished.setdefault(unique_id, Span(now, now))

    def _present(self) -> set[str]:
        folder = self._mail / self.session.username
        return {name.partition(":")[0] for part in ("new", "cur") for name in os.listdir(folder / part)}

    def _quit(self, after_sending: Callable[[], None] = lambda: None) -> None:
        session = self.session
        session.ending = "quit"
        session.quit_sent = time.monotonic()
        self._send("QUIT")
        after_sending()
        session.quit_reply = self._reply(Counts(), may_be_last=True)
        session.quit_answered = time.monotonic()
        expected = (b"+OK", SOME_REMAIN, NONE_REMOVED, *DISMISSALS)
        if not session.quit_reply.startswith(expected):
            self._complain(f"QUIT was answered {session.quit_reply!r}")
        self._pending = Counts()
        with contextlib.suppress(Gone):
            self._complain(f"QUIT was answered twice, then {self._line()!r}")

    # Octets

    def _ask(self, command: str) -> bytes:
        """Return the one line that answers."""
        self._send(command)
        return self._reply(Counts())

    def _reply(self, counts: Counts, *, may_be_last: bool = False) -> bytes:
        """Return one line; a positive one counts `counts`."""
        self._pending = counts + Counts(octets=LONGEST_STATUS_LINE)
        reply = self._status_line(may_be_last=may_be_last)
        if reply.startswith(DISMISSALS):
            self._got = 0
            self._pending = Counts()
        else:
            self._answered(counts if reply.startswith(b"+OK") else Counts())
        return reply

    def _status_line(self, *, may_be_last: bool = False) -> bytes:
        line = self._line()
        if line.startswith(b"-ERR [SYS/TEMP] internal error"):
            self._complain("met an internal error")
        if line.startswith(DISMISSALS) and not may_be_last:
            self._got = 0
            self._pending = Counts()
            self.session.ending = f"dismissed: {line!r}"
            raise Gone
        return line

    def _answered(self, counts: Counts) -> None:
        self.session.open_at = self._sent_at
        self.session.saw(counts + Counts(octets=self._got))
        self._got = 0
        self._pending = Counts()

    def _note_loss(self) -> None:
        if self._got:
            self.session.saw(Counts(octets=self._got))
        left = self._pending - Counts(octets=min(self._got, self._pending.octets))
        self.session.unsure = self.session.unsure + left

    def _send(self, command: str) -> None:
        self._sent_at = time.monotonic()
        try:
            self._socket.sendall(command.encode() + b"\r\n")
        except OSError as error:
            self._receive_what_is_there()
            raise Gone(f"lost while sending {command.split()[0]}: {error}") from None

    def _receive_what_is_there(self) -> None:
        """Take a last word that came before the connection was lost."""
        with contextlib.suppress(Gone):
            while True:
                self._status_line()

    def _line(self) -> bytes:
        while b"\n" not in self._buffer:
            self._receive()
        line, newline, self._buffer = self._buffer.partition(b"\n")
        self._got += len(line + newline)
        return line + newline

    def _octets(self, count: int) -> bytes:
        while len(self._buffer) < count:
            self._receive()
        octets, self._buffer = self._buffer[:count], self._buffer[count:]
        self._got += count
        return octets

    def _receive(self) -> None:
        try:
            chunk = self._socket.recv(1 << 20)
        except TimeoutError:
            if self._patience == PATIENT_SECONDS:
                self._complain(f"waited {PATIENT_SECONDS:g} s for a reply")
            self._count_rest()
            raise Gone("client lost patience") from None
        except OSError as error:
            self._count_rest()
            raise Gone(f"lost: {error}") from None
        if not chunk:
            self._count_rest()
            raise Gone("closed by the server")
        self._buffer += chunk

    def _count_rest(self) -> None:
        # The beginning of a reply that did not come to its end.
        if not self._buffer.startswith(DISMISSALS):
            self._got += len(self._buffer)
        self._buffer = b""

    def _complain(self, what: str) -> None:
        self.session.complaints.append(f"{self.session}: {what}")
