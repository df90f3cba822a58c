"""The mark a run may leave on the source's records, ``migrated: true`` with ``migrated_at``, and how it is left out again.

Only the pair in exactly our form counts as a stamp: a field of the user's own that is called ``migrated`` stays what it is.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from migrator.records import canonical_metadata, parse_json

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

MIGRATED = "migrated"
MIGRATED_AT = "migrated_at"
KEYS = (MIGRATED, MIGRATED_AT)
_MOMENT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z")
_THEIR_MOMENT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?Z?")
"""As the Pinecone Index Migrator writes it: with fractions of a second, and with or without the Z."""


def stamp_now() -> dict[str, Any]:
    """Return the fields that mark a record as migrated at this moment."""
    return {MIGRATED: True, MIGRATED_AT: datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")}


def is_stamped(metadata: Mapping[str, Any], *, theirs: bool = False) -> bool:
    """Return whether ``metadata`` carries our pair, or (``theirs``) one as the Pinecone Index Migrator leaves it."""
    moment = metadata.get(MIGRATED_AT)
    return metadata.get(MIGRATED) is True and isinstance(moment, str) and _real_moment(moment, _THEIR_MOMENT if theirs else _MOMENT)


def _real_moment(text: str, form: re.Pattern[str]) -> bool:
    if not form.fullmatch(text):
        return False
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True


def stamped_rows(batch: pa.RecordBatch, *, theirs: bool = False) -> npt.NDArray[np.int64]:
    """Return the rows of ``batch`` that carry a stamp, ours or (``theirs``) one of the Pinecone Index Migrator as well."""
    metadata = batch.column("metadata")
    if metadata.null_count == len(batch):
        return np.empty(0, np.int64)
    suspects = pc.match_substring(metadata, f'"{MIGRATED_AT}":"').fill_null(fill_value=False).to_numpy(zero_copy_only=False)
    places = np.flatnonzero(suspects)
    return places[[is_stamped(parse_json(metadata[int(place)].as_py()), theirs=theirs) for place in places]] if len(places) else places


def without_stamps(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Return ``batch`` with every stamp left out of its metadata; a record that had nothing else has none then."""
    position = batch.schema.get_field_index("metadata")
    if position < 0 or not len(places := stamped_rows(batch)):
        return batch
    texts = batch.column(position).to_pylist()
    for place in places.tolist():
        kept = {key: value for key, value in parse_json(texts[place]).items() if key not in KEYS}
        texts[place] = canonical_metadata(kept)
    return batch.set_column(position, batch.schema.field(position), pa.array(texts, pa.string()))
