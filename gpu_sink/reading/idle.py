"""A reader that ends once nothing has come for a while, so that a loop over a live stream can be left."""

from collections.abc import Mapping
from time import monotonic

from gpu_sink.frames import Frame
from gpu_sink.reading.source import FrameReader, Position


class IdleReader:
    """Another reader, and how long it has been waited for in vain since its last frame.

    What counts is the time spent in `read`: a slow consumer does not make a stream idle.
    """

    def __init__(self, reader: FrameReader, idle_ms: int) -> None:
        self.starts: Mapping[int, Position] = reader.starts
        self.is_idle = False
        self._reader = reader
        self._idle_s = idle_ms / 1_000
        self._waited_s = 0.0

    @property
    def ended(self) -> bool:
        """Whether the stream has ended, by itself or by having been silent."""
        return self.is_idle or self._reader.ended

    def read(self, wait_s: float) -> Frame | None:
        """Return the next frame, None if no frame came within `wait_s`."""
        began_s = monotonic()
        frame = self._reader.read(min(wait_s, self._idle_s))
        if frame is not None:
            self._waited_s = 0.0
            return frame
        self._waited_s += monotonic() - began_s
        self.is_idle = self._waited_s >= self._idle_s and not self._reader.ended
        return None

    def pause(self) -> None:
        """Stop fetching."""
        self._reader.pause()

    def resume(self) -> None:
        """Fetch again."""
        self._reader.resume()

    def commit(self, positions: Mapping[int, Position]) -> None:
        """Commit positions to the source."""
        self._reader.commit(positions)

    def close(self) -> None:
        """Let go of connections and files."""
        self._reader.close()
