"""The producers of a worker: one that writes in transactions, and at least once one that writes at once."""

from collections.abc import Callable
from contextlib import suppress

import structlog

from app.metrics.catalogue import REPLACED
from app.metrics.ledger import Ledger
from app.process.away import wait_out
from topics.block import TopicPartition
from topics.bus import AbortableError, Bus, BusError, Consumer, ExpiredError, FencedError, Position, Producer

log = structlog.get_logger()


class Producers:
    """Exactly once, everything goes through the open transaction.

    At least once, rows go out as they come, and a transaction is only for last-known entries: it ties them
    to the offsets they stand for, and to this member, so that a worker that was replaced cannot write them.
    """

    def __init__(
        self,
        bus: Bus,
        transactional_id: str,
        has_place: Callable[[], bool],
        *,
        exactly_once: bool,
        ledger: Ledger | None = None,
    ) -> None:
        """`has_place` says whether this worker has its place in the group now.

        It raises FencedError where another worker took it: that has the id, too.
        """
        self._bus = bus
        self._has_place = has_place
        self._id = transactional_id
        self._ledger = ledger or Ledger(())
        self._direct = None if exactly_once else bus.producer(client_id=transactional_id)
        # At once, although it may be long until it is needed: it aborts what an earlier life left open, which
        # would hold back the offsets this one is to start from.
        self._transactional = self._make()
        self._open = False
        self._doubt = "doubt"  # why the next producer replaces this one
        self._in_doubt = False  # the producer is to be thrown away, and stays so while none can be made
        self._unproven = False  # ... and another worker may have its id by now

    @property
    def exactly_once(self) -> bool:
        """Whether rows become visible with their offsets, in one transaction."""
        return self._direct is None

    @property
    def open(self) -> bool:
        """Whether a transaction is open."""
        return self._open

    def rows(self) -> Producer:
        """The producer of rows; exactly once it opens a transaction if no transaction is open."""
        return self._direct or self.transaction()

    def transaction(self) -> Producer:
        """The producer with a transaction open."""
        if not self._open:
            if self._in_doubt:
                self._renew()
            if self._in_doubt:
                raise AbortableError("this worker has no place in its group now")
            self._transactional.begin()
            self._open = True
        return self._transactional

    def acknowledged(self) -> None:
        """Return when every row that went out at once has been acknowledged; in a transaction, at once."""
        if self._direct is not None:
            self._direct.flush()

    def mark(self) -> int:
        """Name what went out at once so far."""
        assert self._direct is not None, "a transaction ends with a commit that waits"
        return self._direct.mark()

    def reached(self, mark: int) -> bool:
        """Whether everything up to a mark has been acknowledged; does not wait."""
        assert self._direct is not None, "a transaction ends with a commit that waits"
        return self._direct.reached(mark)

    def done(self) -> None:
        """The transaction, if there was one, has ended."""
        self._open = False

    def undo(self, undone: Exception, *, lost: bool = False) -> None:
        """Abort what is open; a new producer settles what cannot be aborted or is in doubt.

        Where tasks were `lost` it waits until this worker has proved its place: another may have the id.
        """
        if self._open and isinstance(undone, AbortableError):
            try:
                self._transactional.abort()
            except FencedError:
                raise
            except BusError as failed:  # a broker that crashed may even say there is no such transaction
                undone, self._in_doubt = failed, True
        elif not isinstance(undone, AbortableError):
            self._in_doubt = True
        self._open = False
        self._unproven = self._unproven or isinstance(undone, ExpiredError) or (lost and self._in_doubt)
        self._doubt = "expired" if isinstance(undone, ExpiredError) else "lost" if lost else "doubt"
        if self._in_doubt:
            self._renew()

    def require_slot(self, consumer: Consumer, source: TopicPartition) -> None:
        """Raise FencedError where another worker has this one's transactional id or place in the group.

        The proof is a position sent to a transaction that is aborted, so nothing changes.  The broker asks
        first whose the id is, then whose the place; that the group has no such member is no rival.  A
        producer that is in doubt can prove nothing: one with an id of its own then asks for the place alone.
        Without an answer this worker goes on, and proves its place before it takes its id again.
        """
        assert not self._open, "what was sent of lost tasks is undone"
        try:
            if not self._in_doubt:
                _send_in_vain(self._transactional, consumer, source)
                return
            prover = self._bus.producer(transactional_id=f"{self._id}:place", client_id=self._id)
            try:
                _send_in_vain(prover, consumer, source)
            finally:
                prover.close()
        except FencedError:
            raise
        except BusError as failed:
            log.info("whether another worker has this one's slot is unknown", reason=str(failed))
            self._in_doubt = self._unproven = True

    def close(self) -> None:
        """Abort what is open, and deliver what went out at once."""
        if self._direct is not None:
            self._direct.close()
        self._transactional.close()

    def _renew(self) -> None:
        """Replace the producer; where another may have the id, only once we have a place in the group."""
        if self._unproven and not wait_out(self._has_place, self._broker_away):
            return
        self._transactional.close()
        self._transactional = self._make()
        self._ledger.add(REPLACED, "producer", self._doubt)
        self._in_doubt = self._unproven = False

    def _make(self) -> Producer:
        return wait_out(
            lambda: self._bus.producer(transactional_id=self._id, client_id=self._id),
            self._broker_away,
        )

    def _broker_away(self, waited_ns: int) -> None:
        self._ledger.waited("broker", waited_ns)


def _send_in_vain(producer: Producer, consumer: Consumer, source: TopicPartition) -> None:
    """Send a position and take it back; raises FencedError where the broker takes it from another."""
    producer.begin()
    with suppress(AbortableError):
        producer.send_offsets({source: Position(0)}, consumer)
    producer.abort()
