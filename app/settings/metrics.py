"""The table `[metrics]`: where a worker answers who scrapes its figures and asks for its health."""

from pathlib import Path
from typing import Annotated, Final

from pydantic import Field, model_validator

from app.settings.section import Section

LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})


class MetricsSettings(Section):
    """Where `/metrics`, `/livez` and `/readyz` are answered; nowhere unless there is a port."""

    port: Annotated[int, Field(ge=0, le=65_535)] | None = None  # of slot 0; 0: any that is free
    address: str = "127.0.0.1"  # beyond loopback only with a token
    by_slot: bool = True  # slot n listens on port + n; false where each worker has an address of its own
    token_file: Path | None = None  # holds what a scraper sends as its bearer token

    @model_validator(mode="after")
    def _who_comes_from_elsewhere_has_a_token(self) -> "MetricsSettings":
        if self.address not in LOOPBACK and self.token_file is None:
            raise ValueError(
                f"metrics.address = {self.address!r} is no loopback address: give metrics.token_file, a file "
                "that holds the token which scrapers have to send, and nothing else"
            )
        return self

    def port_of(self, slot: str) -> int:
        """The port of a slot: those that are numbers are counted from the port on."""
        assert self.port is not None
        return self.port + int(slot) if self.port and self.by_slot and slot.isdecimal() else self.port
