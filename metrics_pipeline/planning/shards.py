"""One run's share of the accounts, when several runs compute one period together."""

from __future__ import annotations

import re
from dataclasses import dataclass

from metrics_pipeline.errors import BadRequest

MOST_SHARDS = 1_024
"""Far more than there are workers: a larger count is a slip of the finger."""


@dataclass(frozen=True, order=True)
class Shard:
    """Part `index`, counted from 1, of `count`. Together the parts hold every account once.

    Raises BadRequest for a part that does not exist.
    """

    index: int
    count: int

    def __post_init__(self) -> None:
        for number in (self.index, self.count):
            if not isinstance(number, int) or isinstance(number, bool):
                raise BadRequest(f"Shard {self.index!r} of {self.count!r}: both must be integers.")
        if not 1 <= self.count <= MOST_SHARDS:
            raise BadRequest(f"Shard {self}: there can be 1 to {MOST_SHARDS} shards.")
        if not 1 <= self.index <= self.count:
            raise BadRequest(f"Shard {self}: shards are numbered from 1 to {self.count}.")

    def __str__(self) -> str:
        return f"{self.index}/{self.count}"

    @classmethod
    def parse(cls, said: str) -> Shard:
        """A shard written as `2/8`, the second of eight. Raises BadRequest."""
        if not (found := re.fullmatch(r"(\d{1,9})/(\d{1,9})", said, re.ASCII)):
            raise BadRequest(f"{said!r} is not a shard. Write its number and how many there are, such as 2/8.")
        return cls(int(found[1]), int(found[2]))

    def holds(self, account_id: int) -> bool:
        """By the remainder of the id; SQL's `id % count = index - 1` is the same for the positive ids there are."""
        return account_id % self.count == self.index - 1
