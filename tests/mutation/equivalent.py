"""Mutants that change nothing anybody could see, each with the reason; the mutation check leaves them out."""

from typing import Final

EQUIVALENT: Final[dict[str, str]] = {
    "operators/pending.py:PendingRows.add: placed < batch.rows -> placed <= batch.rows": (
        "with every row placed there is nothing left to merge"
    ),
    "operators/forward.py:ForwardContext.look_ahead: "
    "self._following.size < store.rows -> self._following.size <= store.rows": (
        "asking for room that is there changes nothing"
    ),
    "operators/sealer.py:Sealer.left_bound: frontier_ns > BEGINNING_NS -> frontier_ns >= BEGINNING_NS": (
        "no row has the beginning for its time"
    ),
}
