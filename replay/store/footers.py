"""Footers of parts, read once each: parts never change."""

from functools import lru_cache
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from replay.errors import HistoryError
from replay.store.objects import Folder, ObjectFolder
from replay.store.part import FOOTER_KEY, PartFooter

FOOTERS_REMEMBERED_MAX: Final = 65_536  # about 2 kB each
FOOTER_SIZE: Final = 65_536  # bytes at the end of an object that are asked for first; most footers are less
_END: Final = 8  # bytes behind a footer: its length, and what says that it is Parquet


@lru_cache(maxsize=FOOTERS_REMEMBERED_MAX)
def read_footer(file: Folder) -> PartFooter:
    """Read the footer of a part; raises HistoryError saying what is wrong with it."""
    try:
        metadata = pq.read_metadata(file if isinstance(file, Path) else _end_of(file)).metadata or {}
    except FileNotFoundError:
        raise HistoryError("is not there") from None
    except (OSError, pa.ArrowInvalid) as broken:
        raise HistoryError(f"cannot be read ({broken})") from None
    if FOOTER_KEY not in metadata:
        raise HistoryError("is no part of a history: its footer does not say what it holds")
    return PartFooter.from_json(metadata[FOOTER_KEY])


def _end_of(file: ObjectFolder) -> pa.BufferReader:
    """The end of an object with the whole footer: Parquet counts from the end."""
    end = file.tail(FOOTER_SIZE)
    length = int.from_bytes(end[-_END:-4], "little") + _END if len(end) >= _END else 0
    if length > len(end) == FOOTER_SIZE:
        end = file.tail(length)
    return pa.BufferReader(end)
