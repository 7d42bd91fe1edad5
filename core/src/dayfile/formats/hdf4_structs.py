"""Reading and writing C structs in HDF4 files: one Vdata for each struct, and an SDS for each of its larger arrays.

Such files are written by routines generated from C headers, one for each struct:

- The Vdata has the name of the struct. Its records are packed; its fields have the names of the C fields.
- An array of two or more dimensions, or of more than 5000 elements, is not in the Vdata but in an SDS of the name
  ``<Struct>_<field>``. The first dimension of the SDS is unlimited and counts the records, the others are those of the
  array.
- A Vgroup ``VG_<Struct>`` of class ``VG_<STRUCT>`` has both as members. Readers need neither the Vgroup nor the Vdata's
  class.
- The routine counts the rows of an SDS from the start of its process. In the second file that a process writes, the
  SDS therefore begins with empty rows, as many as the first file has, while the Vdata begins at 0: the last rows are
  those of the records.

A file can hold several structs, of several instruments. Reading needs no library, writing needs pyhdf.
"""

from __future__ import annotations

import contextlib
import ctypes
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from dayfile.errors import MissingExtraError, StorageError, UsageError
from dayfile.formats.hdf4_container import MAGIC, NUMPY_TYPES, Container, DataSet, Vdata
from dayfile.messages import plural, suggest_extra

if TYPE_CHECKING:
    from pyhdf.SD import SD
    from pyhdf.V import V
    from pyhdf.VS import VD, VS

__all__ = ["list_struct_fields", "list_structs", "looks_like_hdf4", "read_struct", "write_structs"]

MOST_ELEMENTS_IN_VDATA = 5000
UNLIMITED = 0
FULL_INTERLACE = 0
NUMERIC_DATA_GROUP = 720
TYPE_CODES = {np.dtype(stored): code for code, stored in NUMPY_TYPES.items()}  # of the two for u1 the later, uint8
LIBRARY_CLASSES = {"Attr0.0", "CoordVar", "DimVal0.0", "DimVal0.1", "RIATTR0.0C", "RIATTR0.0N", "SDSVar"}
LIBRARY_CLASS_PREFIX = "_HDF_CHK_TBL_"
"""Classes of the Vdatas that the library makes for attributes, dimensions and chunks; the last is a prefix."""


def looks_like_hdf4(content: bytes) -> bool:
    """Return whether a file, or its first bytes, can be HDF4.

    Examples
    --------
    >>> looks_like_hdf4(bytes([0x0E, 0x03, 0x13, 0x01]) + b"..."), looks_like_hdf4(b"CDF")
    (True, False)
    """
    return content.startswith(MAGIC)


def list_structs(content: bytes, where: str | Path | None = None) -> list[str]:
    """List the structs in a file: the names of all Vdatas except those of the library itself, in the order of creation.

    Parameters
    ----------
    content : bytes
        The file.
    where : str or Path, optional
        Its name, for messages.

    Raises
    ------
    SourceError
        The file is not HDF4, truncated, or damaged.
    """
    return [vdata.name for vdata in find_struct_vdatas(Container(content, where))]


def list_struct_fields(content: bytes, name: str, where: str | Path | None = None) -> list[str]:
    """List the fields of a struct in a file: those of its Vdata, then those in an SDS.

    Raises
    ------
    SourceError
        The file is not HDF4, truncated or damaged; or it has no such struct, or more than one.
    """
    container = Container(content, where)
    return [*container.read_columns(find_vdata(container, name)), *find_struct_data_sets(container, name)]


def read_struct(
    content: bytes, name: str, dtype: np.dtype[np.void], where: str | Path | None = None
) -> npt.NDArray[np.void]:
    """Read all records of a struct.

    Parameters
    ----------
    content : bytes
        The file.
    name : str
        Name of the struct.
    dtype : structured numpy.dtype
        All C fields by name, also those in an SDS; text as ``S<n>``. File and dtype are matched by the names of the
        fields, so their order and byte order may differ.
    where : str or Path, optional
        The file's name, for messages.

    Returns
    -------
    array of dtype, shape (records,)
        The records in the order of the file. Padding bytes, if the dtype has any, are 0.

    Raises
    ------
    SourceError
        The file is truncated or damaged; or it has no such struct, or more than one; or a field is missing in the file
        or in the dtype, or has another type or number of elements; or an SDS has fewer rows than there are records.

    Examples
    --------
    >>> dtype = np.dtype([("second", "<u4"), ("rate", "<u2", (96, 4))])
    >>> records = read_struct(source.content, "MuonRate", dtype, source.name)  # doctest: +SKIP
    """
    container = Container(content, where)
    vdata = find_vdata(container, name)
    columns, data_sets = container.read_columns(vdata), find_struct_data_sets(container, name)
    check_names(container, name, [*columns, *data_sets], dtype.names or ())
    matched = {}
    for field in dtype.names or ():
        element, dimensions = split_dtype(dtype[field])
        found = container.read_rows(data_sets[field]) if field in data_sets else columns[field]
        # A Vdata only has the number of elements.
        shape = dimensions if field in data_sets else (math.prod(dimensions),)
        if found.dtype != element.newbyteorder(">") or found.shape[1:] != shape:
            raise container.make_error(
                f"struct {name}, field {field}: the file has {format_c_type(found.dtype, found.shape[1:])}, "
                f"expected is {format_c_type(element, shape)}"
            )
        if len(found) < vdata.records:
            raise container.make_error(
                f"struct {name}, field {field}: the file has only {plural(len(found), 'row')} of it "
                f"for {plural(vdata.records, 'record')}"
            )
        values = found[len(found) - vdata.records :].reshape(vdata.records, *dimensions)
        matched[field] = values.view(dtype[field].base)[..., 0] if element.kind == "S" else values
    records = np.zeros(vdata.records, dtype)
    for field, values in matched.items():
        records[field] = values
    return records


def find_struct_vdatas(container: Container) -> Iterator[Vdata]:
    """Find the Vdatas that the library did not make for itself."""
    for vdata in container.list_vdatas():
        if vdata.vdata_class not in LIBRARY_CLASSES and not vdata.vdata_class.startswith(LIBRARY_CLASS_PREFIX):
            yield vdata


def find_vdata(container: Container, name: str) -> Vdata:
    """Find the only Vdata of a struct."""
    found = [vdata for vdata in find_struct_vdatas(container) if vdata.name == name]
    if len(found) != 1:
        raise container.make_error(f"the file has {len(found) or 'no'} Vdatas named {name}, instead of one")
    return found[0]


def find_struct_data_sets(container: Container, name: str) -> dict[str, DataSet]:
    """Find the SDS of a struct by the names of their fields."""
    fields: dict[str, DataSet] = {}
    for data_set in container.list_data_sets():
        if data_set.name.startswith(f"{name}_"):
            field = data_set.name.removeprefix(f"{name}_")
            if field in fields:
                raise container.make_error(f"the file has two SDS named {data_set.name}")
            fields[field] = data_set
    return fields


def check_names(container: Container, name: str, found: Sequence[str], expected: Sequence[str]) -> None:
    """Refuse a struct that does not have each expected field once, and no other."""
    problems = {
        "lacks the field": set(expected) - set(found),
        "has the unknown field": set(found) - set(expected),
        "has in its Vdata and in an SDS the field": {field for field, times in Counter(found).items() if times > 1},
    }
    for problem, fields in problems.items():
        if fields:
            first, *others = sorted(fields)
            more = f" and {len(others)} more" if others else ""
            raise container.make_error(f"struct {name}: the file {problem} {first}{more}")


def split_dtype(dtype: np.dtype[Any]) -> tuple[np.dtype[Any], tuple[int, ...]]:
    """Split a dtype into element type and dimensions as in C: a text is an array of characters."""
    if dtype.base.kind == "S":
        return np.dtype("S1"), (*dtype.shape, dtype.base.itemsize)
    return dtype.base, dtype.shape


def format_c_type(element: np.dtype[Any], dimensions: Sequence[int]) -> str:
    """Format a type like a C declaration, such as ``uint16[96][4]``."""
    name = "char" if element.kind == "S" else element.name
    return name + "".join(f"[{dimension}]" for dimension in dimensions)


def write_structs(
    path: Path,
    structs: Mapping[str, npt.NDArray[Any]],
    *,
    classes: Mapping[str, str] | None = None,
    records_a_write: int | None = None,
) -> None:
    """Write an HDF4 file as the generated routines do.

    The same arguments give the same bytes. The C header that the routines attach to the Vgroup as a description is left
    out: pyhdf has no annotations. Do not use it in threads: the HDF4 library does not support them, and the working
    directory is changed meanwhile.

    Parameters
    ----------
    path : Path
        The file; an existing one is replaced.
    structs : mapping of str to structured array
        Records of each struct by its name, shape (n,); any byte order and alignment, text as ``S<n>``.
    classes : mapping of str to str, optional
        Class of each struct's Vdata; ``<Struct> data`` by default.
    records_a_write : int, optional
        Number of records of each struct that are written in turn. Files of real instruments were written record by
        record, which leaves the data in linked blocks. By default each struct is written at once.

    Raises
    ------
    MissingExtraError
        pyhdf is not installed.
    UsageError
        A field has a type that HDF4 does not have.
    StorageError
        The library could not write the file.

    Examples
    --------
    >>> records = np.zeros(338, [("second", "<u4"), ("text", "S40"), ("rate", "<u2", (96, 4))])
    >>> write_structs(Path("muon.hdf"), {"MuonExample": records})  # doctest: +SKIP
    """
    try:
        from pyhdf.error import HDF4Error
        from pyhdf.HDF import HC, HDF
        from pyhdf.SD import SD, SDC
        from pyhdf.V import V
        from pyhdf.VS import VS
    except ImportError as error:
        message = f"writing HDF4 files needs pyhdf; {suggest_extra('hdf4')}"
        raise MissingExtraError(message) from error
    for name, records in structs.items():
        check_types(name, records.dtype)
    longest = max((len(records) for records in structs.values()), default=0)
    step = records_a_write or max(longest, 1)
    try:
        # The library writes the name by which the file was opened into the file. Opened from its own directory, the
        # file has the same bytes in every directory.
        with contextlib.chdir(path.parent), contextlib.ExitStack() as closing:
            file = HDF(path.name, HC.WRITE | HC.CREATE | HC.TRUNC)
            closing.callback(file.close)
            data_sets = SD(path.name, SDC.WRITE)
            closing.callback(data_sets.end)
            vdatas, vgroups = VS(file), V(file)
            closing.callback(vdatas.end)
            closing.callback(vgroups.end)
            writers = {}
            for name, records in structs.items():
                vdata_class = (classes or {}).get(name, f"{name} data")
                writers[name] = StructWriter(name, records.dtype, vdata_class, vdatas, vgroups, data_sets)
                closing.callback(writers[name].close)
            for begin in range(0, longest, step):
                for name, writer in writers.items():
                    writer.write(begin, structs[name][begin : begin + step])
    except (HDF4Error, OSError) as error:
        raise StorageError(f"the HDF4 library could not write the file: {error}", where=path) from error


def check_types(name: str, dtype: np.dtype[Any]) -> None:
    """Refuse a struct that HDF4 cannot store."""
    for field in dtype.names or ():
        element, _ = split_dtype(dtype[field])
        if element.newbyteorder(">") not in TYPE_CODES:
            raise UsageError(f"struct {name}, field {field}: HDF4 has no type {element}")
    if all(is_large(dtype[field]) for field in dtype.names or ()):
        raise UsageError(f"struct {name}: all its fields are large arrays, and an HDF4 Vdata cannot be empty")


def is_large(dtype: np.dtype[Any]) -> bool:
    """Return whether a field goes into an SDS."""
    _, dimensions = split_dtype(dtype)
    return len(dimensions) > 1 or math.prod(dimensions) > MOST_ELEMENTS_IN_VDATA


class StructWriter:
    """The open Vdata, Vgroup and SDS of one struct."""

    def __init__(
        self, name: str, dtype: np.dtype[Any], vdata_class: str, vdatas: VS, vgroups: V, data_sets: SD
    ) -> None:
        stored = {field: split_dtype(dtype[field]) for field in dtype.names or ()}
        codes = {field: TYPE_CODES[element.newbyteorder(">")] for field, (element, _) in stored.items()}
        small = [field for field in stored if not is_large(dtype[field])]
        # The library takes records packed and in the byte order of the machine.
        self._record = np.dtype([(field, dtype[field].newbyteorder("=")) for field in small])
        self._vdata = vdatas.create(name, [(field, codes[field], math.prod(stored[field][1])) for field in small])
        self._vdata._class = vdata_class  # noqa: SLF001, documented so
        self._vgroup = vgroups.create(f"VG_{name}")
        self._vgroup._class = f"VG_{name.upper()}"  # noqa: SLF001
        self._vgroup.insert(self._vdata)
        self._large = {
            field: data_sets.create(f"{name}_{field}", codes[field], (UNLIMITED, *dimensions))
            for field, (_, dimensions) in stored.items()
            if field not in small
        }
        for data_set in self._large.values():
            self._vgroup.add(NUMERIC_DATA_GROUP, data_set.ref())

    def write(self, begin: int, records: npt.NDArray[Any]) -> None:
        """Append records; ``begin`` is the number of records written before."""
        if not len(records):
            return
        packed = np.empty(len(records), self._record)
        for field in packed.dtype.names or ():
            packed[field] = records[field]
        append_records(self._vdata, packed)
        for field, data_set in self._large.items():
            element, dimensions = split_dtype(records.dtype[field])
            values = np.ascontiguousarray(records[field]).view(element).reshape(len(records), *dimensions)
            start = (begin, *(0 for _ in dimensions))
            data_set.set(values.astype(element.newbyteorder("="), copy=False), start, values.shape)

    def close(self) -> None:
        """Write the descriptions and close the Vdata, Vgroup and SDS."""
        for data_set in self._large.values():
            data_set.endaccess()
        self._vdata.detach()
        self._vgroup.detach()


def append_records(vdata: VD, packed: npt.NDArray[Any]) -> None:
    """Append packed records to a Vdata with one call of the library.

    pyhdf's own ``write`` takes lists and converts value by value. Only this function goes below its documented
    interface: it calls the same VSwrite with a whole buffer.
    """
    from pyhdf import hdfext
    from pyhdf.error import HDF4Error

    buffer = hdfext.array_byte(packed.nbytes)
    ctypes.memmove(int(buffer.cast()), packed.ctypes.data, packed.nbytes)
    written = hdfext.VSwrite(vdata._id, buffer, len(packed), FULL_INTERLACE)  # noqa: SLF001
    if written != len(packed):
        raise HDF4Error("VSwrite failed")
