"""A letter as a message that its topic takes: whole, or with what fits and headers that say what was cut."""

from dataclasses import replace
from typing import Final

from app.errors import RunError
from app.task.letters import Letter
from schemas.letter_cut import Cut
from topics.block import Headers, Original
from topics.bus import MessageLimit
from topics.message_size import message_size

_ANY: Final = Cut(value_size=2**31, key_size=2**31, header_count=2**31)  # whose headers are the longest
_LENGTHS: Final = 16  # bytes that longer lengths take, of a record, its key and its value


def letter_message(letter: Letter, limit: MessageLimit) -> Original:
    """The letter as it is sent.  Of one that is larger than the limit the beginning of the value is kept.

    Where the rest alone is too large, the original's headers go, then the end of its key.  What names the
    rows and their message stays: raises RunError where not even that fits.
    """
    original, size_max = letter.original, limit.size
    if message_size(original.key, original.value, letter.headers) <= size_max:
        return original._replace(headers=letter.headers)
    own = replace(letter.about, cut=_ANY).to_kafka()
    key, carried = original.key, original.headers
    if original.value is None or _room(key, [*carried, *own], size_max) < 0:
        carried = []
    if _room(key, own, size_max) < 0 and key is not None:
        key = key[: max(0, _room(b"", own, size_max))]
    room = _room(key, [*carried, *own], size_max)
    if room < 0:
        raise RunError(
            f"{letter.describe()}: what names it takes {size_max - room:,} bytes, and its topic takes "
            f"{size_max:,} ({limit.setting}): raise that setting"
        )
    value = None if original.value is None else original.value[:room]
    cut = Cut(
        value_size=_if_cut(original.value, value),
        key_size=_if_cut(original.key, key),
        header_count=len(original.headers) if len(carried) < len(original.headers) else None,
    )
    headers = [*carried, *replace(letter.about, cut=cut).to_kafka()]
    return Original(key, value, headers, original.timestamp_ms)


def _room(key: bytes | None, headers: Headers, size_max: int) -> int:
    """The bytes that a limit leaves for more than this."""
    return size_max - message_size(key, b"", headers) - _LENGTHS


def _if_cut(whole: bytes | None, kept: bytes | None) -> int | None:
    """The size of the whole where not all of it is kept."""
    return None if whole is None or kept is None or len(kept) == len(whole) else len(whole)
