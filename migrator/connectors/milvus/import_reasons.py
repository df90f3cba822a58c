"""Why a bulk load failed, in Milvus's words, and what cures it."""

from __future__ import annotations

from migrator.errors import PermanentError

_CURES = (
    (
        ("key does not exist", "no such file", "file not exist", "failed to get file size", "NoSuchKey", "no such key", "file not found"),
        "Milvus reads its own storage only: stage in the very bucket it uses (minio.bucketName in milvus.yaml), or, if it keeps data on disk, below its root",
    ),
    (
        ("has no corresponding field", "no file corresponding to field", "there is no file", "no such field"),
        "each field of the collection needs its file, and no other may be there: dump anew, with id_field=, vector_field= and namespace_field= as there",
    ),
    (("illegal dimension", "dimension should be"), "the collection has another dimension than the files: load into another collection"),
    (("illegal data type", "data type", "field schema is not match", "dtype"), "a file's type does not fit its field: dump anew for this collection"),
    (("illegal value", "NaN", "infinity"), "a vector holds NaN or an infinity: dump anew, which rejects those records and names them"),
    (("unexpected EOF",), "a staged file is cut short: remove the part and dump anew"),
    (("row count",), "a part's files do not belong together: remove the part and dump anew"),
    (("unsupported file type", "illegal file extension"), "stage NumPy or Parquet files"),
    (("exceeds the maximum size", "file size", "maximum file size"), "dump in smaller parts"),
    (("timed out", "timeout", "expired"), "Milvus gives a task 15 minutes (rootCoord.importTaskExpiration): dump in smaller parts, or raise that; then resume"),
    (("collection not found", "collection not loaded", "has been dropped"), "somebody dropped the collection: start anew"),
    (("Access Denied", "AccessDenied", "permission"), "let the server's own storage user read the staged files, then resume"),
)
_OTHERWISE = "mend what it names, then resume: the part is imported anew"


def failed(job: str, reason: str) -> PermanentError:
    """Return the error for a job that failed for ``reason``, Milvus's own text, with the cure that fits it."""
    text = reason.strip() or "Milvus gives no reason"
    cure = next((fix for words, fix in _CURES if any(word.lower() in text.lower() for word in words)), _OTHERWISE)
    return PermanentError(f"import {job} failed: {text}", fix=cure, code="import_failed")


def forgotten(job: str) -> PermanentError:
    """Return the error for a job the server does not know."""
    return PermanentError(
        f"Milvus does not know import {job}: it forgets a task a day after its end (importTaskRetention)",
        fix="resume: the part is looked for in the collection, and imported if it is not there",
        code="not_found",
    )


def uncancellable(job: str) -> PermanentError:
    """Return the error for the wish to end a job."""
    return PermanentError(
        f"Milvus cannot end import {job}: it goes on, and what it brings stays in the collection",
        fix="wait for its end, then drop the collection or the partition if you do not want the rows",
        code="not_supported",
    )
