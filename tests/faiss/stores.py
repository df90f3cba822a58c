"""Builds what LangChain pickles, without LangChain: classes that only bear its names."""

from __future__ import annotations

import functools
import io
import pickle
import sys
import types
from typing import Any

COMMUNITY, CORE, OLD = "langchain_community.docstore.in_memory", "langchain_core.documents.base", "langchain.vectorstores.faiss"


@functools.cache
def _class(module: str, name: str) -> type:
    return type(name, (), {"__module__": module})


def document(metadata: Any, text: str, *, style: str = "pydantic2") -> Any:
    """Return a document as LangChain's own would be pickled: ``plain``, ``pydantic1`` or ``pydantic2``."""
    made = _class(CORE, "Document")()
    fields = {"page_content": text, "metadata": metadata}
    states = {
        "plain": fields,
        "pydantic1": {"__dict__": fields, "__fields_set__": set(fields), "__private_attribute_values__": {}},
        "pydantic2": {"__dict__": fields, "__pydantic_extra__": None, "__pydantic_fields_set__": set(fields), "__pydantic_private__": None},
    }
    made.__dict__["state"] = states[style]
    return made


class _Pickler(pickle._Pickler):
    """Writes the state of our documents as the object's own."""

    def reducer_override(self, held: Any) -> Any:
        if type(held).__module__.startswith("langchain") and "state" in vars(held):
            return (*object.__reduce_ex__(held, 4)[:2], vars(held)["state"])
        return NotImplemented


def _with_parents(*modules: str) -> list[str]:
    return [".".join(module.split(".")[: depth + 1]) for module in modules for depth in range(module.count(".") + 1)]


def pickled(documents: Any, places: Any, *, whole: bool = False) -> bytes:
    """Return ``(docstore, index_to_docstore_id)`` pickled, or with ``whole`` a FAISS object holding them."""
    store = _class(COMMUNITY, "InMemoryDocstore")()
    vars(store)["_dict"] = documents
    held: Any = (store, places)
    if whole:
        held = _class(OLD, "FAISS")()
        vars(held).update({"docstore": store, **({} if places is None else {"index_to_docstore_id": places})})
    stand_ins = {module: types.ModuleType(module) for module in _with_parents(COMMUNITY, CORE, OLD)}
    stand_ins[COMMUNITY].InMemoryDocstore = _class(COMMUNITY, "InMemoryDocstore")
    stand_ins[CORE].Document = _class(CORE, "Document")
    stand_ins[OLD].FAISS = _class(OLD, "FAISS")
    assert not set(stand_ins) & set(sys.modules)
    sys.modules.update(stand_ins)  # pickle looks a class up before it writes its name
    try:
        out = io.BytesIO()
        _Pickler(out, 4).dump(held)
        return out.getvalue()
    finally:
        for name in stand_ins:
            del sys.modules[name]
