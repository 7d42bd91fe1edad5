"""NumPy dtypes of C structs: the place of each field in memory."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from dayfile.model.datatype import DataType
from dayfile.model.field import Field

__all__ = ["make_struct_dtype", "to_records", "to_structs"]


def make_struct_dtype(
    fields: Iterable[Field], byte_order: Literal["big", "little"], alignment: Literal["natural", "packed"]
) -> np.dtype[np.void]:
    """Make the dtype of one C struct in memory.

    Parameters
    ----------
    fields : iterable of Field
        The fields in the order of the C declaration.
    byte_order : {'big', 'little'}
        Byte order of the machine that wrote the struct.
    alignment : {'natural', 'packed'}
        ``natural``: each field starts at a multiple of its element's size and the struct ends at a multiple of its
        largest element, as C compilers do it. ``packed``: no gaps.

    Returns
    -------
    numpy.dtype
        The dtype, with explicit offsets and size.

    Examples
    --------
    >>> fields = [Field("flag", "uint8"), Field("second", "uint32"), Field("rate", "uint16", (3,))]
    >>> make_struct_dtype(fields, "big", "natural").itemsize, make_struct_dtype(fields, "big", "packed").itemsize
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
    """Convert structs of any memory form to the dtype of the data type (packed, little-endian), with the same shape."""
    return structs.astype(data_type.dtype)


def to_structs(records: npt.NDArray[Any], dtype: np.dtype[np.void]) -> npt.NDArray[Any]:
    """Convert records to structs of a :func:`make_struct_dtype`, with the same shape; padding bytes are zero."""
    structs = np.zeros(records.shape, dtype)
    for name in dtype.names or ():
        structs[name] = records[name]
    return structs
