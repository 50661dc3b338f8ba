"""Where fuzzing begins: valid inputs of each target and some that are nearly so, and what was found since."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from app.task.metadata import Committed, InputReport, LogIds, to_position
from gpu_sink import contract
from operators.hashing.parity import Parity
from operators.inputs.progress import InputProgress
from schemas.frame import encode_frame
from schemas.letters import DeadLetter, Headers, LateLetter
from tests.fuzz.page import BEARER
from tests.golden.frames import GOLDEN_FRAME, GOLDEN_LAYOUT, golden_rows

CORPUS: Final = Path(__file__).with_name("corpus")
FORMULAS: Final = (
    "price * 2",
    "where(open and size > 3, -price, 0.0)",
    "rolling_std(log_return(price, rows=1), '5m')",
    "lag(size, rows=3) + ewma(price, halflife='2s') @2",
    "(1 if open else 2)",
    "price.real ** [1][0]",
    "((((((((price))))))))",
    "'",
)
TABLES: Final = (
    '[pipeline]\nprefix = "a"\ngrace = "2s"\nclock = "known"\n',
    '[bus]\npartitions = 3\nkafka = {"linger.ms" = "5"}\n[streams.quote.rules]\nfinite = ["bid"]\n',
    '[graph.tick]\nfrom = "aligned"\n[graph.tick.features]\nx = "price"\n[graph.tick.out]\ncolumns = ["x"]\n',
    '[graph.b]\nfrom = "aligned"\nbars = "time"\nevery = "1m"\n',
    "[pipeline]\ntolerance_ns = -1\n",
    "[pipeline\n",
    "\xff",
)
QUERIES: Final = (
    b"\0symbol=A",
    b"\0symbol=A&before=1",
    b"\0symbol=A&node=tick&column=x",
    b"\1kind=dead&place=0@0",
    b"\1kind=late&place=0@99999999999999999999",
    b"\2one=2024-01-15&other=..%2f..",
    b"\7token=" + BEARER.encode(),
    b"\3%00=%ff&&;=",
)


def seeds() -> Mapping[str, list[bytes]]:
    """The beginnings by target."""
    return {
        "frames": _frames(),
        "metadata": _metadata(),
        "letters": _letters(),
        "settings": [text.encode("latin-1") for text in TABLES],
        "formula": [text.encode() for text in FORMULAS],
        "query": list(QUERIES),
    }


def kept(target: str) -> dict[str, bytes]:
    """What fuzzing has kept of a target, by the names of the files."""
    return {file.name: file.read_bytes() for file in sorted((CORPUS / target).glob("*"))}


def _frames() -> list[bytes]:
    golden, rows = GOLDEN_FRAME.read_bytes(), golden_rows()
    headers = _lines(
        [
            (contract.LAYOUT, GOLDEN_LAYOUT.encode()),
            (contract.FRONTIER, b"7"),
            (contract.ROWS, b"3"),
            (contract.RELEASED, b"1"),
            (contract.SEALED, b"2"),
            (contract.NEWEST, b"3"),
            (contract.PARITY, b"3-" + b"0" * 32),
        ]
    )
    return [
        golden,
        headers + b"\0\0HEAD\0\0" + golden,
        encode_frame(rows, "lz4"),
        encode_frame(rows, "zstd"),
        b"",
    ]


def _metadata() -> list[bytes]:
    progress = InputProgress(5, 90, -3, final=True, late=((6, 0), (80, 3)), late_from=2)
    plain = Committed(progress, 77, Parity(7, 2**64 - 1, 3), through=(1, -1, 2, 3))
    whole = Committed(
        progress, 77, report=InputReport(rows=3), log=LogIds("c", "t"), rule="event", member="m"
    )
    return [
        *(to_position(one).metadata.encode() for one in (plain, whole)),
        b"{}",
        b"[1]",
        b'{"v": 99}',
        b"null",
    ]


def _letters() -> list[bytes]:
    late = LateLetter(
        stream="quote", topic="t", partition=3, offset=9, indexes=(0, 1, 7), lateness_ns=5, frontier_ns=8
    )
    dead = DeadLetter(
        topic="t", partition=3, offset=9, reason="no row", error="DecodeError", indexes=(1, 2, 3)
    )
    both = [*late.to_kafka(), *dead.to_kafka(), ("own", b"value"), ("own", None)]
    return [_lines(headers) for headers in (late.to_kafka(), dead.to_kafka(), both)] + [b"", b"="]


def _lines(headers: Headers) -> bytes:
    return b"\n".join(
        name.encode() if value is None else name.encode() + b"=" + value for name, value in headers
    )
