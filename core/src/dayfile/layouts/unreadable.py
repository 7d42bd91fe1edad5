"""Warn of what a layout may say, and what few programs can read."""

from __future__ import annotations

import logging

from dayfile.layouts.document import Document
from dayfile.layouts.parts import list_stored_fields
from dayfile.layouts.schema import LayoutWords

__all__ = ["warn_of_times"]

TIME32 = (
    "h5py, netCDF4, xarray, astropy and MATLAB cannot read tables with a time32; write int32, or 'keeps: [time32]' at "
    "the top of the layout if existing day files have it"
)
"""The warning of a layout with a field of the class of times of HDF5, which few libraries read."""
logger = logging.getLogger(__name__)


def warn_of_times(words: LayoutWords, document: Document) -> None:
    """Warn of a field that few programs can read, unless the layout says that existing day files have it."""
    for name, type_words in words.types.items():
        for path, field in list_stored_fields(type_words.fields, ("types", name, "fields")):
            if field.type == "time32" and field.type not in words.keeps:
                logger.warning("%s: %s", document.locate((*path, "type")), TIME32)
                return
