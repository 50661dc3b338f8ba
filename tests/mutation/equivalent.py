"""Mutants that change nothing anybody could see, each with the reason; the mutation check leaves them out."""

from typing import Final

EQUIVALENT: Final[dict[str, str]] = {
    "operators/rows/pending.py:PendingRows.add: "
    "batch.rows >= LOOSE_SHARE * before -> batch.rows > LOOSE_SHARE * before": (
        "sorted now or later, the order is the same"
    ),
    "operators/rows/pending.py:PendingRows.forget: offset[1:] >= offset[:-1] -> offset[1:] > offset[:-1]": (
        "the longer way finds the same offset"
    ),
    "operators/rows/pending.py:PendingRows._hold: "
    "batch.offset[0] < self.store.offset[first - 1] -> batch.offset[0] <= self.store.offset[first - 1]": (
        "the longer way finds the same offset"
    ),
    "operators/rows/order_kernel.py:sort_rows: rows.size <= FEW_ROWS -> rows.size < FEW_ROWS": (
        "both ways give the same order"
    ),
    "operators/rows/order_kernel.py:sort_rows: "
    "sequence[rows[i]] != sequence[rows[0]] -> sequence[rows[i]] == sequence[rows[0]]": (
        "the longer way gives the same order"
    ),
    "operators/rows/order_kernel.py:_sort_by: shift < np.uint64(64) -> shift <= np.uint64(64)": (
        "shifts are multiples of eleven, and none is 64"
    ),
    "operators/join/forward.py:ForwardContext.look_ahead: "
    "self._following.size < store.rows -> self._following.size <= store.rows": (
        "asking for room that is there changes nothing"
    ),
    "operators/join/sealer.py:Sealer.left_bound: "
    "BEGINNING_NS < frontier_ns < END_NS -> BEGINNING_NS <= frontier_ns < END_NS": (
        "no row has the beginning for its time"
    ),
    "operators/join/sealer.py:Sealer.left_bound: "
    "BEGINNING_NS < frontier_ns < END_NS -> BEGINNING_NS < frontier_ns <= END_NS": (
        "no row has the end for its time"
    ),
    "operators/join/seal_kernel.py:oldest_offset: offset[row] < oldest -> offset[row] <= oldest": (
        "the smallest is the same"
    ),
    "operators/join/seal_kernel.py:refresh_last: "
    "time_ns[row] < time_ns[old] -> time_ns[row] <= time_ns[old]": (
        "the line before has found that they differ"
    ),
    "operators/join/seal_kernel.py:refresh_last: "
    "sequence[row] < sequence[old] -> sequence[row] <= sequence[old]": (
        "the line before has found that they differ"
    ),
    "operators/join/seal_kernel.py:refresh_last: offset[row] < offset[old] -> offset[row] <= offset[old]": (
        "the line before has found that they differ"
    ),
    "operators/join/context.py:RightContext._make_room: "
    "groups > self._last.size -> groups >= self._last.size": (
        "asking for room that is there changes nothing"
    ),
    "operators/inputs/set_aside.py:SetAside.resume: "
    "progress.late_from > state_next -> progress.late_from >= state_next": (
        "no row lies between the two, so all are named from either on"
    ),
    "operators/inputs/watermark.py:InputClock.see_progress: "
    "offset > self.last_row -> offset >= self.last_row": (
        "a progress record and a row are never in one message"
    ),
    "operators/inputs/intake.py:Intake.accept: oldest_ns < frontier_ns -> oldest_ns <= frontier_ns": (
        "a batch of rows that all wait comes out of the sorting as it went in"
    ),
    "operators/inputs/intake.py:Intake.accept: "
    "oldest_ns < clock.watermark_ns -> oldest_ns <= clock.watermark_ns": (
        "none of the rows counted then is behind"
    ),
    "operators/inputs/max_ahead.py:AheadLimit.bounds: newest_ns <= bound_ns -> newest_ns < bound_ns": (
        "the bounds of the rows, one by one, say the same"
    ),
    "operators/inputs/max_ahead_kernel.py:rolling_bounds: "
    "newest_ns > LATEST_NS - max_ahead_ns -> newest_ns >= LATEST_NS - max_ahead_ns": (
        "where they are equal both ways end at LATEST_NS"
    ),
    "operators/graph/task_graph.py:TaskGraph.seal: assumed_ns <= evident_ns -> assumed_ns < evident_ns": (
        "to seal again where the frontier stands already closes nothing"
    ),
    "operators/graph/task_graph.py:_joined: len(rows) > 1 -> len(rows) >= 1": (
        "one batch put together is the same batch"
    ),
    "operators/join/last_known.py:_opened: len(payload) < _HEAD.size -> len(payload) <= _HEAD.size": (
        "an entry of a head alone is refused either way, by this line or for its missing rows"
    ),
}
