"""Which workers answer, and which runs they hold."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from time import monotonic

from celery import Celery
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from metrics_pipeline.errors import CacheUnavailable

_ANSWER_SECONDS = 1.0
_FRESH_SECONDS = 2.0  # one question serves all runs of a round of run monitoring

_BACK_SECONDS = 40.0
"""A worker that has lost the broker looks for it anew at most half a minute later (kombu's pause), and then answers."""


@dataclass(frozen=True)
class Workers:
    """What all workers answered at one moment."""

    holders: Mapping[str, str] = field(default_factory=dict)
    """Run id → name of the worker in which it is running."""
    names: tuple[str, ...] = ()
    asked_at: float = 0.0

    def age(self) -> float:
        return monotonic() - self.asked_at


def ask_workers(app: Celery) -> Workers:
    """Ask all workers, and wait a second for their answers. Raises CacheUnavailable without a broker."""
    try:
        answers = app.control.inspect(timeout=_ANSWER_SECONDS).active() or {}
    except (OperationalError, RedisError, OSError) as error:
        raise CacheUnavailable(
            f"Asking the workers for their runs failed, as the broker at {broker_of(app)} is away: {error}. "
            "Start it, or correct METRICS_BROKER_URL (default: METRICS_REDIS_URL)."
        ) from error
    holders = {task["id"]: worker for worker, tasks in answers.items() for task in tasks}
    return Workers(holders, tuple(sorted(answers)), monotonic())


class WorkerWatch:
    """Tells whether a run is alive: some worker holds it, or did when last asked.

    One question may go unanswered on a busy machine, or fall between the end of a run and the record
    of it: only a run that two questions in a row did not find is lost. Nor is one as long as workers
    may not have noticed yet that the broker is back.
    """

    def __init__(self, app: Celery) -> None:
        self._app = app
        self._latest = Workers()
        self._last_holder: dict[str, str] = {}
        self._missed_at: dict[str, float] = {}
        self._away_at = -_BACK_SECONDS

    def look(self) -> Workers:
        if not self._latest.asked_at or self._latest.age() > _FRESH_SECONDS:
            try:
                self._latest = ask_workers(self._app)
            except CacheUnavailable:
                self._away_at = monotonic()
                raise
            self._forget()
        return self._latest

    def is_lost(self, run_id: str) -> bool:
        """Whether this and the previous look both missed the run. Raises CacheUnavailable."""
        now = self.look()
        if holder := now.holders.get(run_id):
            self._last_holder[run_id] = holder
            self._missed_at.pop(run_id, None)
            return False
        if now.asked_at - self._away_at < _BACK_SECONDS:
            return False
        return self._missed_at.setdefault(run_id, now.asked_at) != now.asked_at

    def last_holder(self, run_id: str) -> str | None:
        """The worker that was last seen with the run, since this process started."""
        return self._last_holder.get(run_id)

    def _forget(self) -> None:
        """Runs end without a word to this object: drop what was last seen or missed long ago."""
        while len(self._last_holder) > 1000:
            self._last_holder.pop(next(iter(self._last_holder)))
        long_ago = self._latest.asked_at - 600
        self._missed_at = {run_id: at for run_id, at in self._missed_at.items() if at > long_ago}


def broker_of(app: Celery) -> str:
    """The broker's address, without its password."""
    return str(app.connection().as_uri())
