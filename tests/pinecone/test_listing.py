"""The listing of ids: whole, in order, from any place on, whatever pages do."""

from __future__ import annotations

import base64
import json
import threading
from contextlib import closing

import pytest

from migrator.connectors.pinecone import listing as listings
from migrator.connectors.pinecone.listing import Listing
from migrator.connectors.pinecone.walking import walk, walk_at_once
from migrator.errors import PermanentError, TransientError

IDS = sorted(f"id-{n}" for n in range(257))


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    monkeypatch.setattr(listings, "BLOCK", 40)


def pages(ids, size=10):
    def page(token):
        start = int(token or 0)
        return ids[start : start + size], str(start + size) if start + size < len(ids) else None

    return page


@pytest.fixture
def listing(tmp_path):
    made = []

    def make(page):
        made.append(Listing(tmp_path / str(len(made)), lambda one: walk(page, one.stop)))
        return made[-1]

    yield make
    for one in made:
        one.close()


def read(one, after=None, up_to=None, size=7):
    return [name for some in one.ids(after, up_to, size) for name in some]


def test_all_ids_in_runs_of_the_size_asked_for(listing):
    found = list(listing(pages(IDS)).ids(None, None, 7))
    assert [name for some in found for name in some] == IDS
    assert {len(some) for some in found[:-1]} == {7}


@pytest.mark.parametrize("after", [None, "", "id-0", "id-100", "id-1000", "id-55", "z"])
@pytest.mark.parametrize("up_to", [None, "id-0", "id-200", "id-98", "z"])
def test_ranges(listing, after, up_to):
    expected = [name for name in IDS if (after is None or name > after) and (up_to is None or name <= up_to)]
    assert read(listing(pages(IDS)), after, up_to) == expected


def test_no_ids(listing):
    assert read(listing(pages([]))) == []


def test_a_reader_follows_while_pages_still_come(listing):
    gate = threading.Semaphore(0)
    inner = pages(IDS)

    def page(token):
        gate.acquire()
        return inner(token)

    runs = listing(page).ids(None, None, 10)
    for start in range(0, 100, 10):
        gate.release()
        assert next(runs) == IDS[start : start + 10]
    gate.release(100)
    assert [name for some in runs for name in some] == IDS[100:]


def test_an_expired_token_starts_again_and_doubles_nothing(listing):
    expired = {"100", "200"}

    def page(token):
        if token in expired:
            expired.remove(token)
            raise PermanentError("Invalid pagination token", code="bad_request")
        return pages(IDS)(token)

    assert read(listing(page)) == IDS
    assert not expired


def test_pages_that_overlap_double_nothing(listing):
    def page(token):
        start = int(token or 0)
        return IDS[max(0, start - 3) : start + 10], str(start + 10) if start + 10 < len(IDS) else None

    assert read(listing(page)) == IDS


def test_ids_out_of_order_are_refused(listing):
    with pytest.raises(PermanentError, match="out of order"):
        read(listing(pages(["a", "c", "b"])))


def test_a_failure_reaches_the_reader_after_what_was_listed(listing):
    def page(token):
        if token == "50":
            raise PermanentError("gone", code="unauthorized")
        return pages(IDS)(token)

    runs = listing(page).ids(None, None, 10)
    assert [name for _ in range(5) for name in next(runs)] == IDS[:50]
    with pytest.raises(PermanentError, match="gone"):
        next(runs)


def test_closing_wakes_readers(listing, monkeypatch):
    entered, leave = threading.Event(), threading.Event()

    def page(token):
        entered.set()
        leave.wait()
        return ["a"], "again"

    one = listing(page)
    entered.wait()
    closing = threading.Thread(target=one.close)
    closing.start()
    one.stop.wait()
    leave.set()
    closing.join()
    with pytest.raises(TransientError, match="stopped"):
        read(one)


def test_it_goes_on_only_as_long_as_somebody_reads(tmp_path):
    asked, gate = [], threading.Semaphore(1)

    def paged(one):
        def page(token):
            one.wait_for_readers()
            gate.acquire()
            asked.append(token)
            return pages(IDS)(token)

        return walk(page, one.stop)

    with closing(Listing(tmp_path / "ids", paged)) as one:
        reader = one.ids(None, None, 10)
        assert next(reader) == IDS[:10]
        gate.release()  # for the page it is waiting for by now
        reader.close()
        gate.release(100)
        assert len(asked) <= 2
        assert read(one) == IDS
        assert len(asked) == 26


class Store:
    """Ids with pages of ten, whose tokens are places; what ``wrong`` says may be otherwise."""

    def __init__(self, ids, wrong=""):
        self.ids, self.wrong, self.asked = ids, wrong, []

    def page(self, token):
        self.asked.append(token)
        after = None if token is None else self.place(token)
        rest = [name for name in self.ids if after is None or name > after]
        if self.wrong == "inclusive" and after is not None and token is not None and after not in self.given():
            rest = [after, *rest]
        return rest[:10], self.token(rest[9]) if len(rest) > 10 else None

    def given(self):
        return set(self.ids[9::10])

    def token(self, name):
        if self.wrong == "opaque":
            return f"page after {name}"
        return base64.b64encode(json.dumps({"skip_past": name, "prefix": None}).encode()).decode()

    def place(self, token):
        if self.wrong == "opaque":
            return token.removeprefix("page after ")
        name = json.loads(base64.b64decode(token))["skip_past"]
        if self.wrong == "only those given" and name not in self.given():
            raise PermanentError("Invalid pagination token", code="bad_request")
        if self.wrong == "refuses later" and name not in self.given() and len(self.asked) > 3:
            raise PermanentError("Invalid pagination token", code="bad_request")
        return name


@pytest.fixture
def walked(tmp_path):
    """Return a function that lists a store in stretches between cuts."""

    def run(store, cuts):
        one = Listing(tmp_path / "at-once", lambda listing: walk_at_once(store.page, listing.stop, lambda: cuts))
        try:
            return read(one)
        finally:
            one.close()

    return run


@pytest.mark.parametrize("wrong", ["", "opaque", "inclusive", "only those given", "refuses later"])
@pytest.mark.parametrize("cuts", [[], ["id-100"], ["id-120", "id-150", "id-2000", "id-56", "id-98"], sorted({*IDS[::9]}), ["between", "id-1x", "zzz"]])
def test_stretches_bring_what_one_walk_brings(walked, wrong, cuts):
    store = Store(IDS, wrong)
    assert walked(store, cuts) == IDS


def test_stretches_begin_at_the_cuts(walked):
    store = Store(IDS)
    assert walked(store, ["id-150", "id-56"]) == IDS
    assert {"id-150", "id-56"} <= {store.place(token) for token in store.asked if token}


def test_no_ids_at_once(walked):
    assert walked(Store([]), ["a"]) == []
