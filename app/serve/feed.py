"""The feed: one look for all browsers, each of which gets the same text as it is made."""

import asyncio
from collections.abc import AsyncIterator
from threading import Event, Thread
from typing import Final

from app.serve.looker import Looker
from app.serve.plain import browser_json

LOOK_AGAIN_S: Final = 0.5  # a frontier counts as moving for 1.5 s: who was killed is named within 3
CLIENTS_MAX: Final = 32
BEAT_S: Final = 15.0  # without a look a comment goes out: whoever is between does not close what is quiet


class Feed:
    """Looks again and again in a thread of its own; `latest` is the last look as JSON, replaced whole."""

    def __init__(self, looker: Looker) -> None:
        self.looker = looker
        self.latest = browser_json({"away": "the first look is under way"})
        self.looks = 0
        self.clients = 0
        self._stopping = Event()
        self._thread = Thread(target=self._run, name="feed", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def close(self) -> None:
        """Look no more."""
        self._stopping.set()
        self._thread.join(timeout=10)

    async def events(self) -> AsyncIterator[bytes]:
        """The looks as server-sent events, from the last one on, until the browser goes."""
        self.clients += 1
        try:
            seen, waited = -1, 0.0
            while not self._stopping.is_set():
                if self.looks != seen:
                    seen, waited = self.looks, 0.0
                    yield f"id: {seen}\ndata: {self.latest}\n\n".encode()
                elif waited >= BEAT_S:
                    waited = 0.0
                    yield b": quiet\n\n"
                await asyncio.sleep(0.1)
                waited += 0.1
        finally:
            self.clients -= 1

    def _run(self) -> None:
        while not self._stopping.is_set():
            self.latest = browser_json(self.looker.look())
            self.looks += 1
            self._stopping.wait(LOOK_AGAIN_S)
        self.looker.close()
