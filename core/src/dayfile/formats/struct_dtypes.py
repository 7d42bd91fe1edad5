"""Layouts → NumPy dtypes of C structs: where each field lies in memory."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from dayfile.model.datatype import DataType, Field

__all__ = ["struct_dtype", "to_records", "to_structs"]


def struct_dtype(
    fields: Iterable[Field], byte_order: Literal["big", "little"], alignment: Literal["natural", "packed"]
) -> np.dtype[np.void]:
    """The dtype of one C struct in memory.

    Parameters
    ----------
    fields : iterable of Field
        In the order of the C declaration.
    byte_order : {'big', 'little'}
        Of the machine that wrote the struct.
    alignment : {'natural', 'packed'}
        ``natural``: each field starts at a multiple of its element's size and the struct ends at a multiple of its
        largest, as C compilers lay it out. ``packed``: no gaps.

    Returns
    -------
    numpy.dtype
        With explicit offsets and size.

    Examples
    --------
    >>> fields = [Field("flag", "uint8"), Field("second", "uint32"), Field("rate", "uint16", (3,))]
    >>> struct_dtype(fields, "big", "natural").itemsize, struct_dtype(fields, "big", "packed").itemsize
    (16, 11)
    """
    names, formats, offsets = [], [], []
    offset, widest = 0, 1
    for field in fields:
        element = 1 if field.type == "char" else field.base.itemsize
        if alignment == "natural":
            offset += -offset % element
            widest = max(widest, element)
        form = np.dtype((field.base.newbyteorder(">" if byte_order == "big" else "<"), field.array_shape))
        names.append(field.name)
        formats.append(form)
        offsets.append(offset)
        offset += form.itemsize
    size = offset + -offset % widest
    return np.dtype({"names": names, "formats": formats, "offsets": offsets, "itemsize": size})


def to_records(structs: npt.NDArray[Any], data_type: DataType) -> npt.NDArray[Any]:
    """Structs in any memory form → records in the dtype of the data type (packed, little-endian), shape kept."""
    return structs.astype(data_type.dtype)


def to_structs(records: npt.NDArray[Any], dtype: np.dtype[np.void]) -> npt.NDArray[Any]:
    """Records → structs of a :func:`struct_dtype`, padding bytes zero, shape kept."""
    structs = np.zeros(records.shape, dtype)
    for name in dtype.names or ():
        structs[name] = records[name]
    return structs
