"""What a batch is: how many rows, which columns, in which types, in which order, and where it lies."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

from gpu_sink.errors import OptionError

WINDOWS: Final = "windows"  # the column of sequence windows, [rows, steps, features]
ROW_VALID: Final = "row_valid"  # masks the rows of a padded batch that are rows


@dataclass(frozen=True, slots=True, kw_only=True)
class Windows:
    """Each row with the rows of its symbol sealed before it, as `windows` [rows, steps, features].

    The row itself is the last step.  `windows_valid` [rows, steps] is False where a symbol has no row yet,
    and the values there are 0.  A null in a feature is NaN, and its step valid.
    """

    steps: int  # rows per window, the row itself among them; 1 to 4,096
    columns: Sequence[str]  # the features, in this order; numbers or booleans
    # Text columns that tell the groups apart, one or several; a row where one of them is null stands alone.
    by: str | Sequence[str] = "symbol"
    dtype: Literal["float32", "float64"] = "float32"

    def __post_init__(self) -> None:
        if not 1 <= self.steps <= 4_096:
            raise OptionError(f"windows of {self.steps} steps: say 1 to 4,096")
        if isinstance(self.columns, str):
            raise OptionError(f'columns of windows is {self.columns!r}: say columns=["{self.columns}"]')
        if not self.columns:
            raise OptionError("windows without columns: name the features")
        if not self.keys or len(set(self.keys)) < len(self.keys):
            raise OptionError(f"windows by {self.by!r}: name one text column or several, each once")

    @property
    def keys(self) -> tuple[str, ...]:
        """The columns of `by`."""
        return (self.by,) if isinstance(self.by, str) else tuple(self.by)


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchOptions:
    """How frames become batches; raises OptionError for what does not go together.

    Memory is bounded by these numbers: `prefetch + 1` slots of `batch_rows` rows (on the host, and as many on
    the device), one buffer of `shuffle_rows` rows, and one frame.
    """

    batch_rows: int = 4_096  # rows of a full batch, and the most a slot holds
    columns: Sequence[str] | None = None  # the ones to read; None: all of them
    # What to do with a frame that lacks a chosen column, since it is from before it was added or after it was
    # dropped: refuse it, or give nulls.  With "null" every chosen column has a mask.
    columns_missing: Literal["raise", "null"] = "raise"
    dtypes: Mapping[str, str] = field(default_factory=dict)  # column -> NumPy dtype; others keep their own
    # Text column -> the words its codes stand for, fixed and closed: any other word has the code len(words).
    # None: codes in the order of appearance, each reader its own; so it is too where a column is not named.
    dictionaries: Mapping[str, Sequence[str] | None] = field(default_factory=dict)
    tile_ns: int | None = None  # a batch holds rows of one tile of time and one partition only
    time_column: str | None = (
        None  # the pipeline's clock, int64 ns: tiles need it; rows that go back are reported
    )
    max_wait_ms: int | None = (
        None  # a batch with rows is handed over after this wait, full or not; None: never
    )
    # A live stream's iteration ends once no frame came for this long while one was waited for; the next
    # iteration goes on from there.  None: never.
    idle_ms: int | None = None
    drop_last: bool = False  # leave out the last batch of a bounded stream where it is not full
    pad: bool = False  # every batch has batch_rows rows; `row_valid` says which are rows
    windows: Windows | None = None
    shuffle_rows: int = 0  # rows shuffled together; 0: the order in which they were sealed
    seed: int = 0
    prefetch: int = 2  # batches made ahead by a thread of their own; 0: made when asked for, without a thread
    device: str = "cpu"  # "cpu", "cuda" or "cuda:1"
    arrays: Literal["numpy", "torch"] = "numpy"  # what columns are on the host; on a card they are tensors
    # What was handed over is committed to the group when the next batch is asked for, this often; None: never
    commit_every_ms: int | None = None
    gaps: Literal["warn", "raise"] = "warn"  # what to do where a topic lacks rows between two frames
    copy: bool = False  # batches own their memory; else they are valid until the next one is asked for
    debug: bool = False  # batches that are read or held for longer than they are valid are reported

    def __post_init__(self) -> None:
        if self.batch_rows < 1:
            raise OptionError(f"batch_rows is {self.batch_rows}: say at least 1")
        if isinstance(self.columns, str):
            raise OptionError(f'columns is {self.columns!r}: say columns=["{self.columns}"]')
        if self.shuffle_rows % self.batch_rows or self.shuffle_rows < 0:
            raise OptionError(
                f"shuffle_rows {self.shuffle_rows} is not a multiple of batch_rows {self.batch_rows}"
            )
        if self.tile_ns is not None and (self.tile_ns < 1 or self.shuffle_rows or self.time_column is None):
            raise OptionError("tile_ns is 1 or more, needs time_column, and tiles are not shuffled")
        if self.max_wait_ms is not None and self.max_wait_ms < 0:
            raise OptionError(f"max_wait_ms is {self.max_wait_ms}: say 0 or more, or None for no limit")
        if self.idle_ms is not None and self.idle_ms < 1:
            raise OptionError(f"idle_ms is {self.idle_ms}: say 1 or more, or None to wait for ever")
        if not 0 <= self.prefetch <= 64:
            raise OptionError(f"prefetch is {self.prefetch}: say 0 to 64")
        if self.pad and self.drop_last:
            raise OptionError("pad fills the last batch up and drop_last leaves it out: choose one")
        if not re.fullmatch(r"cpu|cuda(:\d+)?", self.device):
            raise OptionError(f'device is {self.device!r}: say "cpu", "cuda" or "cuda:N"')
        if self.gaps not in ("warn", "raise"):
            raise OptionError(f'gaps is {self.gaps!r}: say "warn" or "raise"')
        if self.columns_missing not in ("raise", "null"):
            raise OptionError(f'columns_missing is {self.columns_missing!r}: say "raise" or "null"')
        if self.columns_missing == "null" and self.columns is None:
            raise OptionError(
                'columns_missing="null" needs columns=: name those that batches have while frames change'
            )
        if self.seed < 0:
            raise OptionError(f"seed is {self.seed}: say 0 or more")

    @property
    def max_wait_s(self) -> float | None:
        """`max_wait_ms` in seconds."""
        return None if self.max_wait_ms is None else self.max_wait_ms / 1_000

    @property
    def columns_read(self) -> Sequence[str] | None:
        """The chosen columns, and behind them those that windows need; None: all of them."""
        if self.columns is None:
            return None
        needs = () if self.windows is None else (*self.windows.keys, *self.windows.columns)
        return list(dict.fromkeys([*self.columns, *needs]))
