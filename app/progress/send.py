"""Writes one progress record into every partition of inputs: no row below a time follows there."""

from collections.abc import Sequence

from app.config import Settings
from app.errors import UsageError
from app.words import duration
from schemas.clocks import NS_PER_MS
from topics.avro.progress import encode_progress
from topics.bus import Bus
from topics.wire import Progress, SchemaRegistry


def require_writable(settings: Settings, streams: Sequence[str], *, named: bool) -> None:
    """Raise UsageError for a stream whose messages are such that a progress record does not belong there.

    Workers find progress records, which are Avro, among messages of any format but frames.  Other readers of
    such a topic may not, so that its stream has to be `named`.
    """
    for name in streams:
        own = settings.stream(name)
        set_already = settings.idle_after_ms(name) is not None
        idle = (
            f"{'' if set_already else f'set streams.{name}.idle_after_ms, and '}its silent partitions are "
            f"left out of the frontier{', since idle_after_ms is set' if set_already else ''}"
        )
        if own.format == "arrow":
            raise UsageError(
                f"stream {name} is frames, which say themselves how far they are complete: write progress "
                f"into the inputs of the pipeline that makes them; or {idle}"
            )
        if not named and not (own.format == "avro" and own.framing in (None, "prefix")):
            raise UsageError(
                f"stream {name} ({own.format}) has no progress records of its own: {idle}; to let the last "
                f"rows out, where every reader of {settings.topic(name)} passes over an Avro message without "
                f"key, name the streams: {' '.join(f'--stream {each}' for each in streams)}"
            )


def require_near(settings: Settings, upper_ns: int, now_ns: int, *, ahead: bool) -> None:
    """Raise UsageError for a time so far ahead that workers would make a dead letter of the record.

    So for any time that lies ahead at all, unless that is meant (`ahead`): no record takes another one back.
    """
    limit_ns = settings.pipeline.max_ahead_ns
    if limit_ns is not None and settings.pipeline.max_ahead_of == "wall" and upper_ns > now_ns + limit_ns:
        raise UsageError(
            f"--upper lies {duration(upper_ns - now_ns)} ahead of this machine's clock, and "
            f"pipeline.max_ahead_ns is {duration(limit_ns)}: workers would take it for a wrong clock; give "
            "a time up to then"
        )
    if upper_ns > now_ns and not ahead:
        raise UsageError(
            f"--upper lies {duration(upper_ns - now_ns)} ahead of this machine's clock: every row until then "
            "would be late, and nothing takes a progress record back; give a time up to now, or --ahead "
            "if no row comes until then"
        )


def doubt_words(settings: Settings) -> str | None:
    """What may become of the record although it is written; None where it counts in any case."""
    limit_ns = settings.pipeline.max_ahead_ns
    if limit_ns is None or settings.pipeline.max_ahead_of != "inputs":
        return None
    return (
        f"workers pass it over, as a dead letter, where it lies more than {duration(limit_ns)} "
        "(pipeline.max_ahead_ns) beyond the newest row of the inputs: see `python -m app dead list`"
    )


def send_progress(
    bus: Bus,
    registry: SchemaRegistry,
    settings: Settings,
    streams: Sequence[str],
    *,
    upper_ns: int,
    final: bool,
) -> None:
    """Write the record into every partition of these streams; returns once the broker has them all.

    Raises BusError where it has not, RegistryUnavailableError where the schema cannot be registered; the
    same call again does no harm.
    """
    producer = bus.producer()
    try:
        for name in streams:
            progress = Progress(name, upper_ns, final, f"{settings.pipeline.prefix}-progress")
            value = encode_progress(registry, progress)
            for partition in range(settings.bus.partitions):
                producer.produce(
                    settings.topic(name),
                    partition=partition,
                    key=None,
                    value=value,
                    timestamp_ms=max(0, upper_ns // NS_PER_MS),
                )
        producer.flush()
    finally:
        producer.close()
