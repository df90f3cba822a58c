"""Pinecone's limits as its documentation states them ("Database limits", November 2026): one place for server and connector.

A MB is 2**20 bytes here, a KB 2**10.
"""

from __future__ import annotations

UPSERT_RECORDS = 1_000
UPSERT_BYTES = 2 * 2**20
METADATA_BYTES = 40 * 2**10
ID_LENGTH = 512
"""Characters of an id, ASCII, none of them NUL; at least one."""
DIMENSION = 20_000
SPARSE_VALUES = 2_048
"""Non-zero values of a sparse vector."""
FETCH_IDS = 1_000
DELETE_IDS = 1_000
LIST_IDS = 100
"""Ids a page of ``list``, which is on serverless indexes only."""
TOP_K = 10_000
QUERY_RESULT_BYTES = 4 * 2**20
FETCH_BY_METADATA_RECORDS = 10_000
FETCH_BY_METADATA_DEFAULT = 100
LIST_NAMESPACES = 100
INDEX_NAME_LENGTH = 45

# serverless rate limits: a second, in one namespace
UPSERTS_A_SECOND = 100
UPSERT_BYTES_A_SECOND = 50 * 2**20
UPDATES_A_SECOND = 100
DELETES_A_SECOND = 100
# serverless rate limits: a second, in one index
FETCHES_A_SECOND = 100
LISTS_A_SECOND = 200
QUERY_READ_UNITS_A_SECOND = 2_000

IMPORT_FILE_BYTES = 10 * 2**30
IMPORT_FILES = 100_000
IMPORT_NAMESPACES = 10_000

METRICS = ("cosine", "dotproduct", "euclidean")
API_VERSIONS = ("2025-10", "2026-04", "2026-07")
"""Versions of the API the local server speaks, oldest first; the SDK 10 asks for the last."""
