"""Ways to compute the same: whichever is taken, the payloads are the same bytes."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from unittest.mock import patch

from metrics_pipeline.metrics import copied, encode, exact, many, texts
from metrics_pipeline.pipeline import Pipeline
from metrics_pipeline.planning.request import RefreshRequest
from metrics_pipeline.planning.shards import Shard

# Written, sorted and told apart by polars; encoded on two threads; added up in blocks; read in them, if few.
_AS_IF_MANY = (
    (texts, "_MANY", -1), (many, "_MANY", -1), (encode, "_FEW", 0), (exact, "_BLOCK", 3), (copied, "_BLOCK_BYTES", 1)
)  # fmt: skip


@dataclass(frozen=True)
class Mode:
    """A way to compute the same.

    Attributes:
        requests: what together asks for it.
        as_if_many: every shortcut that only many expenses take is taken.
        apart: each period by itself, so that those before it are read as sums.
    """

    name: str
    settings: dict[str, object] = field(default_factory=dict)
    requests: Sequence[dict[str, object]] = ({},)
    as_if_many: bool = False
    apart: bool = False

    def refresh(self, pipeline: Pipeline, request: RefreshRequest) -> None:
        with ExitStack() as stack:
            for module, name, size in _AS_IF_MANY if self.as_if_many else ():
                stack.enter_context(patch.object(module, name, size))
            for parts in self.requests:
                for periods in [[period] for period in request.periods] if self.apart else [request.periods]:
                    pipeline.refresh(replace(request, periods=periods, **parts))

    def __repr__(self) -> str:
        return self.name


SINGLE_SHOT = Mode("single shot")
OTHER_MODES = [
    *(Mode(f"chunks of {size}", {"chunk_payloads": size}) for size in (1, 3, 7)),
    Mode("portions of 30 expenses", {"memory_budget_mb": 0.003, "chunk_payloads": 7}),
    Mode("portions of an account", {"memory_budget_mb": 0.0001}),
    *(Mode(f"{n} shards", {}, [{"shard": Shard(i, n)} for i in range(1, n + 1)]) for n in (2, 5)),
    Mode("what is outdated", {}, [{"only_outdated": True}]),
    Mode("as if there were many", as_if_many=True),
    Mode("a period at a time", apart=True),
    Mode(
        "what is outdated, in shards and portions",
        {"memory_budget_mb": 0.003},
        [{"only_outdated": True, "shard": Shard(i, 2)} for i in (2, 1)],
    ),
]
