"""The core's own answers to the hooks: the plugin ``builtin``, asked after all others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from dayfile.hookspecs import hookimpl

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from dayfile.archive.workfile import WorkFile
    from dayfile.model.batch import Batch
    from dayfile.model.datatype import DataType

__all__ = ["Builtin"]


class Builtin:
    """Hook implementations that serve every data type.

    Parameters
    ----------
    data_types : mapping of str to DataType
        The data types of the run by name; looked at when a batch is classified.
    """

    def __init__(self, data_types: Mapping[str, DataType]) -> None:
        self.data_types = data_types

    @hookimpl(trylast=True)
    def classify(self, batch: Batch) -> str | None:
        """The data type of the batch's instrument that has the batch's code."""
        for name, data_type in self.data_types.items():
            if (data_type.instrument, data_type.code) == (batch.instrument, batch.code):
                return name
        return None

    @hookimpl(trylast=True)
    def locate_file(self, data_type: DataType, day: np.datetime64) -> str:
        """The data type's path template, filled with the day."""
        return data_type.fill(data_type.path, day)

    @hookimpl(trylast=True)
    def write(self, work_file: WorkFile, data_type: DataType, batch: Batch) -> npt.NDArray[np.uint8]:
        """Put the batch where the data type's store has it."""
        return work_file.write(data_type, batch)
