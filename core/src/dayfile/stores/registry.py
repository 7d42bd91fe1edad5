"""The known stores, by name: the core's own, and those that plugins offer by the hook ``stores``."""

from __future__ import annotations

from collections.abc import Iterable

from dayfile.errors import UnknownStoreError
from dayfile.stores.append import Append, Intervals
from dayfile.stores.base import Store
from dayfile.stores.slots import Slots

__all__ = ["CORE_STORES", "find_store", "forget_store", "list_store_names", "register_stores"]

CORE_STORES: tuple[Store, ...] = (Append(), Slots(), Intervals())
"""The core's own, which the plugin ``builtin`` offers; registered on import, so that reading needs no plugin."""
known_stores: dict[str, Store] = {store.name: store for store in CORE_STORES}


def register_stores(stores: Iterable[Store]) -> list[str]:
    """Register stores, replacing those with the same names; return the names."""
    found = {store.name: store for store in stores}
    known_stores.update(found)
    return list(found)


def forget_store(name: str) -> None:
    """Forget a store, such as that of a plugin that does not load."""
    known_stores.pop(name, None)


def find_store(name: str) -> Store:
    """Return the store of a name.

    Raises
    ------
    UnknownStoreError
        No loaded plugin offers it.
    """
    if name not in known_stores:
        raise UnknownStoreError(f"the store {name!r} is unknown; load the plugin that offers it")
    return known_stores[name]


def list_store_names() -> tuple[str, ...]:
    """Return the names of all stores."""
    return tuple(known_stores)
