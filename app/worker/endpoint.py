"""The endpoint of a worker: what answers who scrapes it and asks for its health, and how it is found."""

import json
import os
from pathlib import Path
from typing import Final

from app.config import Settings, service_manager
from app.errors import UsageError
from app.metrics.health import Health
from app.metrics.heart import BEAT_NS, Heart
from app.metrics.ledger import Ledger
from app.metrics.notify import Notifier
from app.metrics.pages import Answer, Page, health_page
from app.metrics.server import PageServer
from app.process.version import program_version
from app.settings.metrics import LOOPBACK, MetricsSettings
from app.worker.worker import Worker
from schemas.clocks import NS_PER_MS
from topics.kafka.settings import AT_ONCE, TRANSACTION_TIMEOUT_MS

CALLS_MS: Final = 45_000  # what questions to a broker may take in one turn, beside a commit
NOT_OPEN: Final = Answer(503, b"the worker has not joined its group yet\n")


class Endpoint:
    """The ledger, heart and health of one worker, and where others see them.

    It answers before the worker is opened, which may take minutes: a port that is taken is known at once.
    """

    def __init__(self, settings: Settings) -> None:
        """Listen, where `metrics.port` says so; raises UsageError where that cannot be."""
        self._notifier = Notifier(*service_manager())
        heart = Heart(patience_ns(settings))
        heart.on_beat = self._notifier.alive
        self.ledger = Ledger(settings.stream_names, heart)
        self.health = Health(self._notifier.ready)
        self._settings = settings
        self._metrics = Page(lambda _: NOT_OPEN)
        self._noted: Path | None = None
        self._server: PageServer | None = None
        if settings.metrics.port is not None:
            self._server = serve(
                settings.metrics, settings.metrics.port_of(settings.worker.slot), self._pages()
            )

    @property
    def where(self) -> str:
        """`127.0.0.1:9464`; empty where nothing listens."""
        return "" if self._server is None else self._server.where

    def opened(self, worker: Worker) -> None:
        """The worker has joined its group: its figures can be asked for."""
        if self._server is None:
            return
        from app.metrics.collector import Labels, WorkerCollector, registry_of, rendered

        settings = self._settings
        labels = Labels(
            version=program_version(),
            pipeline=settings.pipeline.prefix,
            slot=settings.worker.slot,
            guarantee=settings.worker.guarantee,
            reading=str(getattr(worker.consumer, "reading", "embedded")).replace(":", " ").split()[0],
        )
        registry = registry_of(WorkerCollector(self.ledger, labels, worker.standing))

        def scrape(accept: str) -> Answer:
            content_type, text = rendered(registry, accept)
            return Answer(200, text, content_type)

        self._metrics = Page(scrape)
        self._note()

    def stop(self) -> None:
        """The worker ends."""
        self.health.stop()
        self._notifier.stopping()

    def close(self) -> None:
        """Answer no more, and be found no more."""
        if self._server is not None:
            self._server.close()
        if self._noted is not None:
            self._noted.unlink(missing_ok=True)

    def _pages(self) -> dict[str, Page]:
        heart, health = self.ledger.heart, self.health
        return {
            "/metrics": Page(lambda accept: self._metrics.answer(accept)),
            "/livez": health_page(lambda: "" if heart.is_live else "the loop does not turn"),
            "/readyz": health_page(lambda: f"awaits {health.awaits}" if health.awaits else ""),
        }

    def _note(self) -> None:
        """Write down where the worker is found, as Prometheus discovers targets by file; the slot is ours."""
        labels = {"pipeline": self._settings.pipeline.prefix, "slot": self._settings.worker.slot}
        path = discovery_file(self._settings)
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = path.with_name(f"{path.name}.{os.getpid()}")
        fresh.write_text(json.dumps([{"targets": [self.where], "labels": labels}]))
        fresh.replace(path)
        self._noted = path


def serve(settings: MetricsSettings, port: int, pages: dict[str, Page]) -> PageServer:
    """A server of these pages at the address of the settings; raises UsageError where that cannot be."""
    token = ""
    if settings.token_file is not None:
        try:
            token = settings.token_file.read_text(encoding="utf-8").strip()
        except OSError as unreadable:
            raise UsageError(f"metrics.token_file {settings.token_file}: {unreadable.strerror}") from None
        except UnicodeDecodeError:
            raise UsageError(f"metrics.token_file {settings.token_file} is no text") from None
        if not token:
            raise UsageError(f"metrics.token_file {settings.token_file} is empty: it has to hold the token")
        if not (token.isascii() and token.isprintable()):
            raise UsageError(
                f"metrics.token_file {settings.token_file}: a token is one line of ASCII characters, such as "
                "`openssl rand -hex 32` makes: no scraper could send this one"
            )
    hosts = LOOPBACK if settings.address in LOOPBACK else None
    return PageServer(settings.address, port, pages, hosts=hosts, token=token)


def discovery_file(settings: Settings) -> Path:
    """The file that says where a worker is scraped, for `file_sd_configs` of Prometheus."""
    return settings.worker.state / settings.pipeline.prefix / f"metrics-{settings.worker.slot}.json"


def patience_ns(settings: Settings) -> int:
    """How long a loop that is well may go without a beat: as long as a call of the bus waits for a broker."""
    once = settings.worker.guarantee == "exactly_once"
    key, own = (
        ("transaction.timeout.ms", TRANSACTION_TIMEOUT_MS)
        if once
        else ("message.timeout.ms", AT_ONCE["message.timeout.ms"])
    )
    client = settings.bus.kafka
    waits_ms = int(client.get(f"producer.{key}") or client.get(key) or str(own))
    return max(BEAT_NS, (CALLS_MS + waits_ms) * NS_PER_MS)
