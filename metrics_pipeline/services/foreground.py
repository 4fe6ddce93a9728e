"""Running several programs side by side in the foreground: all start, all stop, none is left behind.

One that ran well and then died is started again, for minutes if need be; one that cannot run stops them all.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import IO

from honcho.colour import get_colours
from honcho.printer import Message, Printer

_STOP_SECONDS = 8  # after this a process that was asked to stop is killed
_POLL_SECONDS = 0.1
_RAN_WELL_SECONDS = 10  # what dies sooner would only die again
_PAUSE_SECONDS = 3  # between two starts of a program
_GIVE_UP_SECONDS = 300  # what a program needs (PostgreSQL, Redis) may be away for a while


@dataclass(frozen=True)
class Program:
    """One process: its name in the output, its command, and how to tell that it is ready.

    The next program starts once this one is ready; `when_ready` is said then. `prepare` is called before
    every start.
    """

    name: str
    command: Sequence[str]
    ready: Callable[[], bool] = field(default=lambda: True)
    when_ready: str | None = None
    prepare: Callable[[], None] = field(default=lambda: None)


def run_together(
    programs: Sequence[Program], environment: Mapping[str, str], folder: Path, output: IO[str] | None = None
) -> int:
    """Run until one cannot go on, or until SIGINT, SIGTERM or SIGHUP; then stop them all.

    Call it in the main thread. A program that ends by itself is told with its code and last lines. Once it
    has run for ten seconds it is started again, and again when it ends soon, for five minutes; else it is
    what cannot go on. Returns 0 when asked to stop, 1 otherwise.
    """
    output = output or sys.stdout
    with _stop_requests() as stop, _stopping_all() as running:
        printer = _Printer(output, width=max(len(program.name) for program in programs))
        start = partial(_Running, environment=environment, folder=folder, printer=printer)
        for program, colour in zip(programs, get_colours(), strict=False):
            running.append(start(program, colour))
            while not stop.is_set() and not _dead(running, start) and not program.ready():
                stop.wait(_POLL_SECONDS)
            if stop.is_set() or _dead(running, start):
                break
            if program.when_ready:
                printer.say(program.when_ready)
        while not stop.is_set() and not _dead(running, start):
            stop.wait(_POLL_SECONDS)
        dead = None if stop.is_set() else _dead(running, start)
        if stop.is_set():
            printer.say("Stopping. What is interrupted now is done after the next start.")
            printer.hush()
    if dead is None:
        return 0
    printer.say(dead.last_words())
    return 1


def _dead(running: list[_Running], start: Callable[..., _Running]) -> _Running | None:
    """A program that ended, and would only end again. Those that ran well not long ago are started again."""
    for place, one in enumerate(running):
        if one.process.poll() is None:
            one.ran_well()
        elif one.well_at is None or time.monotonic() - one.well_at > _GIVE_UP_SECONDS:
            return one
        elif time.monotonic() - one.started > _PAUSE_SECONDS:
            one.signal(signal.SIGKILL)  # what it left behind would be in the way
            one.finish()
            one.printer.say(f"{one.last_words()}\n{one.program.name} is started again")
            running[place] = start(one.program, one.colour, one.well_at)
    return None


class _Printer(Printer):  # type: ignore[misc]
    """Honcho's printer, for several threads: a line is never mixed into another.

    What can't be written, as a disk is full or a pipe's reader is gone, is lost: programs whose words nobody took
    would stand still, and go on being taken for alive.
    """

    def __init__(self, output: IO[str], width: int) -> None:
        super().__init__(output, width=width)
        self._one_at_a_time = threading.Lock()
        self._hushed = False

    def write(self, message: Message) -> None:
        with self._one_at_a_time, suppress(OSError):
            if not self._hushed:
                super().write(message)

    def hush(self) -> None:
        """From here on only words of our own: programs that were asked to stop tell at length what that interrupted."""
        with self._one_at_a_time:
            self._hushed = True

    def say(self, text: str) -> None:
        """A word of our own, between the programs' lines."""
        with self._one_at_a_time, suppress(OSError):
            print(text, file=self.output, flush=True)


class _Running:
    """A started program, in a session of its own, with a thread that prints what it says."""

    def __init__(
        self,
        program: Program,
        colour: str,
        well_at: float | None = None,
        *,
        environment: Mapping[str, str],
        folder: Path,
        printer: _Printer,
    ) -> None:
        program.prepare()
        self.program, self.colour, self.printer = program, colour, printer
        self.started, self.well_at = time.monotonic(), well_at
        self.process = subprocess.Popen(
            program.command,
            env=dict(environment),
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        self._last: deque[str] = deque(maxlen=20)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def ran_well(self) -> None:
        """Remember, of a program that runs, whether it or the one before it has done so for long enough."""
        if (now := time.monotonic()) - self.started >= _RAN_WELL_SECONDS:
            self.well_at = now

    def signal(self, number: signal.Signals) -> None:
        """To the whole group: also to what the program started."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, number)

    def finish(self) -> None:
        """After a kill: collect the process and print the rest of what it said."""
        self.process.wait()
        self._reader.join(timeout=2)

    def last_words(self) -> str:
        lines = "\n".join(f"  {line}" for line in self._last) or "  (it said nothing)"
        return f"{self.program.name} ended by itself with code {self.process.returncode}; its last lines:\n{lines}"

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._last.append(line.decode(errors="replace").rstrip())
            self.printer.write(
                Message(
                    type="line",
                    data=line,
                    time=datetime.now(),  # noqa: DTZ005
                    name=self.program.name,
                    colour=self.colour,
                )
            )


@contextmanager
def _stop_requests() -> Iterator[threading.Event]:
    """An event that SIGINT, SIGTERM and SIGHUP set for as long as the block runs."""
    stop = threading.Event()
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, lambda *_: stop.set()) for number in numbers}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _stopping_all() -> Iterator[list[_Running]]:
    """Whatever happens in the block, no started process outlives it."""
    running: list[_Running] = []
    try:
        yield running
    finally:
        for one in reversed(running):
            one.signal(signal.SIGTERM)
        deadline = time.monotonic() + _STOP_SECONDS
        while any(one.process.poll() is None for one in running) and time.monotonic() < deadline:
            time.sleep(_POLL_SECONDS)
        for one in running:
            one.signal(signal.SIGKILL)  # also to children that their parent left behind
            one.finish()
