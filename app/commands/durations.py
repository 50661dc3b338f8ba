"""Durations as flags: `--tolerance 2s`, with the flag in whole nanoseconds kept beside it."""

from app.errors import UsageError
from schemas.durations import DurationError, duration_ns


def flag_ns(name: str, text: str | None, whole_ns: int | None) -> int | None:
    """The duration of `--NAME` or of `--NAME-ns`, in nanoseconds; None where neither was typed.

    Raises UsageError for text that is no duration, and where both were typed.
    """
    if text is None:
        return whole_ns
    if whole_ns is not None:
        raise UsageError(
            f"--{name} and --{name}-ns are both given: they are one setting, leave one of them out"
        )
    try:
        return duration_ns(text)
    except DurationError as wrong:
        raise UsageError(f"--{name} {text!r}: {wrong}") from None
