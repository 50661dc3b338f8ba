"""What is fuzzed: for each target a function of bytes that raises where anything but the promised happens.

What a target takes ends in the error of its edge or in a value that holds: it comes back as it was, or within
its bounds.  Any other exception, a hang or memory without bound is a finding.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import mkdtemp
from typing import Final

import pyarrow as pa

from app.config import load_settings
from app.errors import RunError, UsageError
from app.task.metadata import METADATA_SIZE_MAX, from_position, to_position
from gpu_sink import contract
from gpu_sink.frames import FrameDecoder, Place
from operators.formula.features import read_features, root_source
from operators.formula.read import TEXT_LENGTH_MAX, one_form, read_formula
from schemas.frame import NULLS, RULE, FrameError, FrameHeaders, decode_frame
from schemas.letters import DeadLetter, Headers, LateLetter, LetterError, original_headers
from tests.fuzz.page import AskedPage
from tests.golden.frames import GOLDEN_LAYOUT
from topics.bus import Position

DECODED_SIZE_MAX: Final = 1 << 20  # bytes
SLACK: Final = 1 << 16  # bytes that Arrow may round up by
PLACE: Final = Place("aligned", 0, 0)
COLUMNS: Final = {"price": pa.float64(), "size": pa.int64(), "open": pa.bool_(), "venue": pa.string()}
SOURCE: Final = root_source("aligned", pa.schema(list(COLUMNS.items())))
STATUSES: Final = {200, 303, 304, 400, 401, 404, 405, 421, 503}


def frames(data: bytes) -> None:
    """A frame and its headers, for the worker's reader and the client's: both refuse it, or both read it."""
    head, value = _cut(data)
    headers = _headers(head) or _golden_headers()
    ours, theirs = _of_worker(value, headers), _of_client(value, headers)
    if ours is None:  # two headers are for workers alone
        ours = _of_worker(value, [one for one in headers if one[0] not in (RULE, NULLS)])
    assert ours is None or ours.get_total_buffer_size() <= DECODED_SIZE_MAX + SLACK
    if theirs is not None:
        assert ours is not None, "the client reads what the worker refuses"
        # As text, in which a NaN equals itself.
        assert str(ours.to_pylist()) == str(theirs.to_pylist()), "two readers, two contents"


def _of_worker(value: bytes, headers: Headers) -> pa.RecordBatch | None:
    try:
        FrameHeaders.from_kafka(headers)
        return decode_frame(value, DECODED_SIZE_MAX)
    except FrameError:
        return None


def _of_client(value: bytes, headers: Headers) -> pa.RecordBatch | None:
    try:
        frame = FrameDecoder(None, DECODED_SIZE_MAX).decode(value, headers, PLACE)
    except contract.FrameError:
        return None
    assert frame.headers is not None
    assert frame.headers.rows_before is None or isinstance(frame.headers.rows_before, int)
    assert isinstance(frame.rows, pa.RecordBatch)
    return frame.rows


def _golden_headers() -> Headers:
    numbers = (contract.FRONTIER, contract.RELEASED, contract.SEALED, contract.NEWEST)
    return [
        (contract.LAYOUT, GOLDEN_LAYOUT.encode()),
        (contract.ROWS, b"3"),
        *((name, b"0") for name in numbers),
    ]


def metadata(data: bytes) -> None:
    """What a commit carries: refused as somebody else's, or it comes back as it was and fits a broker."""
    position = Position(5, data.decode("utf-8", "replace"))
    try:
        committed = from_position(position, "quote[3]")
    except RunError as refused:
        _require("quote[3]" in str(refused), refused)
        return
    again = to_position(committed)
    if (
        len(again.metadata) <= METADATA_SIZE_MAX
        and committed.report == from_position(again, "quote[3]").report
    ):
        assert from_position(again, "quote[3]") == committed


def letters(data: bytes) -> None:
    """Headers of letters: refused with the header's name, or they come back as they were."""
    headers = _headers(data)
    for kind in (LateLetter, DeadLetter):
        try:
            letter = kind.from_kafka(headers)
        except LetterError:
            continue
        assert kind.from_kafka(letter.to_kafka()) == letter
    kept = original_headers(headers)
    assert len(kept) <= len(headers)


def settings(data: bytes) -> None:
    """A file of settings: refused with the name of the file, or settings that read the same again."""
    SETTINGS_FILE.write_bytes(data)
    try:
        read = load_settings(SETTINGS_FILE)
    except UsageError as refused:
        _require(str(SETTINGS_FILE) in str(refused), refused)
        return
    assert read.model_dump() == load_settings(SETTINGS_FILE).model_dump()
    read.model_dump_json()


def formula(data: bytes) -> None:
    """A formula: errors with places in the text, or one form that reads as itself; nothing is evaluated."""
    text = data.decode("utf-8", "replace")
    _, errors = read_formula(text)
    for error in errors:
        assert 0 <= error.start <= error.end <= max(len(text), 1), (error.message, error.start, error.end)
    if not errors:
        once = one_form(text)
        if len(once) <= TEXT_LENGTH_MAX:
            assert read_formula(once)[1] == []
            assert one_form(once) == once
    features, wrong = read_features("tick", SOURCE, {"x": text})
    assert (features is None) == bool(wrong)
    assert not errors or wrong
    if features is not None:
        assert len(features.meaning) == 16


def query(data: bytes) -> None:
    """An address of the page with what stands behind its `?`: one of the statuses that are meant, in time."""
    global _PAGE
    if _PAGE is None:
        _PAGE = AskedPage(Path(mkdtemp(prefix="tidemark-fuzz-page-")))
    status = _PAGE.ask(data)
    assert status in STATUSES, status


def _require(holds: bool, refused: Exception) -> None:
    """Fail where a refusal does not say where it was."""
    assert holds, f"it does not say where: {refused}"


def _cut(data: bytes) -> tuple[bytes, bytes]:
    """The headers, up to the mark that ends them, and the value behind it; without a mark all is value."""
    head, separator, value = data.partition(b"\0\0HEAD\0\0")
    return (head, value) if separator else (b"", data)


def _headers(data: bytes) -> Headers:
    """Headers as lines `name=value`; a line without `=` is a header without a value."""
    headers: Headers = []
    for line in data.split(b"\n") if data else ():
        name, equals, value = line.partition(b"=")
        headers.append((name.decode("utf-8", "replace"), value if equals else None))
    return headers


_PAGE: AskedPage | None = None
SETTINGS_FILE: Final = Path(mkdtemp(prefix="tidemark-fuzz-")) / "fuzzed.toml"
TARGETS: Final[Mapping[str, Callable[[bytes], None]]] = {
    "frames": frames,
    "metadata": metadata,
    "letters": letters,
    "settings": settings,
    "formula": formula,
    "query": query,
}
