"""Which topics of a pipeline can be captured, and what decodes each: inputs, outputs and letters."""

from collections.abc import Sequence

from app.errors import UsageError
from app.wiring.letter_rows import KINDS, LetterRows, letter_stream
from app.wiring.pipeline import Pipeline
from operators.sealed import ALIGNED
from replay.capture.session import CapturedTopic
from schemas.stream import Stream
from topics.arrow.decode import FrameValues
from topics.decoder import RowDecoder
from topics.shape import Shape, ShapedDecoder, Shaper
from topics.values import DecodeLimits


def captured_topics(pipeline: Pipeline, names: Sequence[str] | None) -> list[CapturedTopic]:
    """Return the topics of these inputs and outputs, of all inputs where none is named.

    Raises UsageError for a name that is neither.
    """
    settings = pipeline.settings
    inputs = list(settings.stream_names)
    outputs = [ALIGNED, *settings.node_outputs, *KINDS]
    wanted = inputs if names is None else list(dict.fromkeys(names))
    unknown = [name for name in wanted if name not in (*inputs, *outputs)]
    if unknown:
        raise UsageError(
            f"--streams {', '.join(unknown)}: the pipeline reads {', '.join(inputs)} and writes "
            f"{', '.join(outputs)}"
        )
    return [_captured(pipeline, name) for name in wanted]


def _captured(pipeline: Pipeline, name: str) -> CapturedTopic:
    if name in pipeline.streams:
        stream, decoder = pipeline.streams[name], pipeline.decoder(name)
    elif name in KINDS:
        stream, decoder = letter_stream(name), LetterRows(KINDS[name])
    else:
        stream, decoder = _sealed(pipeline, name)
    return CapturedTopic(
        topic=pipeline.settings.topic(name),
        partitions=pipeline.settings.bus.partitions,
        stream=stream,
        decoder=decoder,
    )


def _sealed(pipeline: Pipeline, name: str) -> tuple[Stream, RowDecoder]:
    """The rows of an output as a stream, with the places of their left rows, and what decodes its frames."""
    settings = pipeline.settings
    sink = pipeline.sinks(0)[name]
    if sink.form != "frame":
        raise UsageError(
            f"--streams {name}: its rows are {sink.form} (worker.format); only frames are captured"
        )
    stream = Stream(name=name, schema=sink.schema, key=key_of(pipeline, sink.schema.names), sequence=None)
    limits = DecodeLimits(message_size_max=settings.worker.message_size_max)
    values = FrameValues(sink.schema, limits, stream=name)
    shape = Shape(times={}, key_from_columns=True)
    return stream, ShapedDecoder(values, Shaper(stream, settings.pipeline.clock, shape))


def key_of(pipeline: Pipeline, columns: Sequence[str]) -> tuple[str, ...]:
    """The key columns of the first input, the left one first, that are columns of the rows; () for none."""
    keys = (stream.key for stream in pipeline.streams.values())
    return next((key for key in keys if set(key) <= set(columns)), ())
