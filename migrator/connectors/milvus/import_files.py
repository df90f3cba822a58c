"""The files of one import, as a server names them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from migrator.errors import PlanError

if TYPE_CHECKING:
    from collections.abc import Sequence


def server_paths(files: Sequence[str]) -> tuple[str, ...]:
    """Return ``files`` as the server names them, sorted, so that a task is known again by its list. Raise ``PlanError`` for what is not one import."""
    if not files or (len(files) > 1 and not all(name.endswith(".npy") for name in files)):
        fix = "load part by part: a set of NumPy files, or one Parquet file"
        raise PlanError(f"Milvus imports {len(files)} files at once only where they are the columns of one part", fix=fix, code="staging_unsuitable")
    return tuple(sorted(map(server_path, files)))


def server_path(address: str) -> str:
    """Return how a server names the file at ``address``: its key inside the bucket, or its absolute path. Raise ``PlanError`` for another kind."""
    scheme, _, rest = address.partition("://")
    if scheme == "file":
        return "/" + rest.lstrip("/")
    bucket, _, key = rest.partition("/")
    if scheme not in {"s3", "gs", "az"} or not bucket or not key:
        raise PlanError(f"Milvus cannot read {address}", fix="stage in a bucket: s3://, gs:// or az://", code="staging_unreachable")
    return key
