"""Laws of what gone nodes leave behind: it stays as long as it is told, by the time of the log."""

from operators.entries import owner_prefix
from operators.graph.gone import PLACE, PLACE_KEY, Gone

MEANINGS = ("0" * 16, "1" * 16)


def entries_of(name: str, meaning: str, time_ns: int) -> list[tuple[bytes, bytes]]:
    prefix = owner_prefix(name, meaning)
    places = PLACE.pack(0, 0, 0, 0) + PLACE.pack(time_ns, 0, 0, 0)  # of two roots
    return [(prefix + PLACE_KEY, places), (prefix + b"s\0A", b"state")]


def test_entries_go_once_the_commit_is_farther_than_that_behind_their_row() -> None:
    for through_ns, expired in ((1_010, False), (1_011, True)):
        gone = Gone(kept_ns=10)
        entries = entries_of("tick", MEANINGS[0], 1_000)
        gone.add(entries)
        assert gone.expired(through_ns) == ([key for key, _ in entries] if expired else [])


def test_each_meaning_of_a_name_is_as_old_as_its_own_row() -> None:
    gone = Gone(kept_ns=10)
    old, young = (entries_of("tick", MEANINGS[number], time_ns) for number, time_ns in ((0, 5), (1, 100)))
    gone.add([*old, *young])
    assert gone.names == {"tick"}
    assert gone.expired(105) == [key for key, _ in old]
    assert gone.expired(105) == []


def test_entries_without_a_place_go_at_once_and_others_wait_for_a_commit() -> None:
    gone = Gone(kept_ns=10)
    placed = entries_of("tick", MEANINGS[0], 0)
    gone.add([(owner_prefix("tock", MEANINGS[0]) + b"k", b"1"), *placed])
    gone.add([(owner_prefix("bad", MEANINGS[0]) + PLACE_KEY, b"short")])
    assert len(gone.expired(None)) == 2
    assert gone.names == {"tick"}
