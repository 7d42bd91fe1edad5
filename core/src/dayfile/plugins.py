"""Plugins: call their hooks, check the answers, and keep a broken plugin from harming the others.

Every hook is called here. A hook about a batch or a data type is called on the plugin that it belongs to, and on the
plugins that extend that one. A failure is reported under the name of the plugin that was called.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel

from dayfile.contract import answers
from dayfile.contract.batches import (
    Answering,
    check_answer,
    check_blocks,
    check_records,
    check_statuses,
    check_written,
    protect,
    refuse_second,
)
from dayfile.contract.failures import FOR_USERS, NO_MEMORY, Failure, blame, collect_failures, convert_disk_errors
from dayfile.contract.offers import check_exporters, check_plots
from dayfile.errors import DayfileError, PluginError, SettingsError, UsageError
from dayfile.export.base import BlobReader, Day, Exporter, RangeExporter, Selection, list_declared_readers
from dayfile.export.files import check_target, replace_file
from dayfile.export.older import OlderExporter
from dayfile.formats.parcels import is_parcel, open_wrapped, write_source
from dayfile.messages import suggest
from dayfile.model.batch import NO_BLOBS, Batch, Blobs, Blocks, Rejected, Remark, Source
from dayfile.model.datatype import DataType
from dayfile.plots.base import Plot
from dayfile.registration import BUILTIN, Answer, Registered, name_foreign
from dayfile.settings import Settings, from_plugin, resolve

__all__ = ["NO_MEMORY", "Failure", "Plugins", "collect_failures"]


class Plugins(Registered):
    """The plugins of a run; made by :meth:`make_empty` or :func:`dayfile.discovery.load`."""

    def list_asked(self, owner: str) -> list[str]:
        """List the plugins that are asked about what belongs to one: those that extend it, itself, ``builtin``."""
        return [*(name for name in self.names if owner in self.extends[name]), owner, BUILTIN]

    def _ask_first(
        self,
        owner: str,
        hook: str,
        check: Callable[[Any], Answer],
        passed: tuple[type[DayfileError], ...] = (),
        **arguments: Any,  # noqa: ANN401 - each hook has its own
    ) -> Answer | None:
        """Return the first answer that is not None; ask the plugins of :meth:`list_asked` in turn.

        If one fails, the others are not asked: they would archive records as if that plugin did not exist.
        """
        for name in self.list_asked(owner):
            answer = self._ask(name, hook, check, passed, **arguments)
            if answer is not None:
                return answer
        return None

    def decode(
        self, source: Source, settings: Settings, *, in_blocks: bool = False
    ) -> Iterator[tuple[str, Iterable[Batch | Rejected | Remark] | Failure]]:
        """Decode a source with each plugin, in Blocks if ``in_blocks`` and it can; skip plugins that say "not mine"."""
        failures = list[Failure]()
        with collect_failures("dayfile", failures):
            source, keys = open_wrapped(source, settings.core.sources_largest)
            own = self.set_keys(settings, keys, source.name)
            asked = [BUILTIN] if is_parcel(source) else self.names
        if failures:
            yield "dayfile", failures[0]
            return
        taken = ""
        for name in asked:
            answer, failures = None, list[Failure]()
            with collect_failures(name, failures):
                items = self._hooks.call(
                    name, "decode", source=source, settings=own.get(name), data_types=self.data_types
                )
                if isinstance(items, Blocks) and items.alone:
                    refuse_second(name, taken, source.name)
                    taken = name
                blocks = in_blocks and isinstance(items, Blocks)
                answer = None if items is None else check_blocks(items) if blocks else check_answer(items)
            if failures or answer is not None:
                yield name, failures[0] if failures else answer or []

    def add_keys(self, source: Source, settings: Settings, keys: Mapping[str, str | int]) -> tuple[str, bytes]:
        """Make a source, name and content, that says the keys of another; errors as for :meth:`set_keys`."""
        self.set_keys(settings, keys, source.name)
        return write_source(source, keys)

    def set_keys(self, settings: Settings, keys: Mapping[str, object], where: str) -> Mapping[str, BaseModel]:
        """Return the settings of each plugin for a source that came with keys.

        Raises
        ------
        UsageError
            No plugin has a setting of the name of a key.
        SettingsError
            A key has an impossible value.
        """
        if not keys:
            return settings.plugins
        names = dict.fromkeys(key for model in self.settings_models.values() for key in model.model_fields)
        for key in keys:
            if key not in names:
                raise UsageError(f"no plugin of this run takes the key {key!r}{suggest(key, names)}", where=where)
        given = {
            f"{name}.{key}": each
            for name, model in self.settings_models.items()
            for key, each in {**dict(settings.plugins[name]), **keys}.items()
            if key in model.model_fields
        }
        return resolve(self.settings_models, from_plugin(given, Path(where))).plugins

    def read_config(self, path: Path) -> tuple[dict[str, Any] | None, list[Failure]]:
        """Read settings from a file of another program, if a plugin recognises it; return them and the failures.

        Raises
        ------
        SettingsError
            Two plugins recognise it.
        """
        found: dict[str, dict[str, Any]] = {}
        failures = []
        for name in self.names:
            models = {each: self.settings_models[each] for each in (name, *self.extends[name]) if each in self.names}

            def check(answer: object, models: Mapping[str, type[BaseModel]] = models) -> dict[str, Any]:
                found = answers.check_config(answer)
                resolve(models, from_plugin({key: found[key] for key in found if key != "archive"}, path))
                return found

            try:
                answer = self._ask(name, "read_config", check, (SettingsError,), path=path)
            except DayfileError as error:
                failures.append(Failure.of(name, error))
                continue
            if answer is not None:
                found[name] = answer
        if len(found) > 1:
            message = f"the plugins {' and '.join(found)} both recognise this file; leave one out with --plugins"
            raise SettingsError(message, where=path)
        return next(iter(found.values()), None), failures

    def routes(self, name: str, root: object, settings: Settings, uploads: object) -> list[Any]:
        """Return the HTTP routes of a plugin.

        Raises
        ------
        DayfileError
            The plugin failed, or says what must be set; the message names it.
        """
        own = settings.plugins[name]
        return (
            self._ask(name, "routes", answers.check_routes, FOR_USERS, root=root, settings=own, uploads=uploads) or []
        )

    def classify(self, batch: Batch, decoder: str) -> DataType:
        """Find the data type of a batch.

        Parameters
        ----------
        batch : Batch
            The batch.
        decoder : str
            The plugin that decoded it.

        Raises
        ------
        PluginError
            No plugin knows it, the batch cannot have the type in the answer, or its records do not fit that type.
        """
        protect(batch)
        types = self._list_types(decoder)
        check = partial(answers.check_type_name, data_types=types)
        name = self._ask_first(decoder, "classify", check, batch=batch, data_types=types)
        if name is None:
            hint = answers.describe_owner(batch, self.data_types, self.owners)
            raise PluginError(f"no data type has the code {batch.code!r}{hint}")
        check_records(batch, self.data_types[name])
        return self.data_types[name]

    def _list_types(self, decoder: str) -> dict[str, DataType]:
        """List the types that a plugin's batches can have: its own, and of plugins it extends or that extend it."""
        if decoder == BUILTIN:
            return self.data_types  # a parcel names its type
        extending = [name for name in self.names if decoder in self.extends[name]]
        return {
            name: data_type
            for owner in (decoder, *self.extends.get(decoder, ()), *extending)
            for name, data_type in self.data_types.items()
            if self.owners[name] == owner
        }

    def locate_file(self, data_type: DataType, day: np.datetime64) -> str:
        """Locate the day file of a day; PluginError if no plugin does, or the path is not valid."""
        check = partial(answers.check_location, data_type=data_type)
        path = self._ask_first(self.owners[data_type.name], "locate_file", check, data_type=data_type, day=day)
        if path is None:
            raise PluginError(f"no plugin locates {data_type.name}")
        return path

    def encode_own(self, data_type: DataType, records: npt.NDArray[Any]) -> tuple[str, bytes] | None:
        """Turn records without keys and blobs into a source in a format of their plugin; None if it has none.

        Raises
        ------
        PluginError
            The plugin failed.
        """
        check = partial(answers.check_source, data_type=data_type, records=len(records))
        arguments = {"data_type": data_type, "records": records, "keys": {}, "blobs": NO_BLOBS}
        asked = self.list_asked(self.owners[data_type.name])[:-1]
        found = (self._ask(name, "encode", check, (), **arguments) for name in asked)
        return next((answer for answer in found if answer is not None), None)

    def encode(
        self,
        data_type: DataType,
        records: npt.NDArray[Any],
        keys: Mapping[str, str | int] | None = None,
        blobs: Blobs = NO_BLOBS,
    ) -> tuple[str, bytes]:
        """Turn records into a source, name and content, that ``decode`` turns back into them: if need be, a parcel.

        Raises
        ------
        UsageError
            ``decode`` would not know the type of a parcel again, as another one has its code.
        PluginError
            The plugin failed.
        """
        alone = not (data_type.placement.node.keys or data_type.blob_fields)
        own = self.encode_own(data_type, records) if alone else None
        if own is not None:
            return own
        self._check_code(data_type)
        check = partial(answers.check_source, data_type=data_type, records=len(records))
        arguments = {"data_type": data_type, "records": records, "keys": keys or {}, "blobs": blobs}
        made = self._ask(BUILTIN, "encode", check, (), **arguments)
        assert made is not None  # noqa: S101 - builtin encodes all records
        return made

    def _check_code(self, data_type: DataType) -> None:
        """Check that no other type has the instrument and the code of a type, by which builtin classifies."""
        for name, other in self.data_types.items():
            if name != data_type.name and (other.instrument, other.code) == (data_type.instrument, data_type.code):
                message = f"records of {data_type.name} cannot be put: {name} has its code, {data_type.code!r}, too"
                raise UsageError(message)

    def pages(self, archive: object, settings: Settings) -> list[Any]:
        """Return the routes by which plugins let others read; those that fail are added to the failures."""
        routes: list[Any] = []
        for name in self.names:
            with collect_failures(name, self.failures):
                check, own = partial(answers.check_routes, hook="pages"), settings.plugins.get(name)
                routes += self._ask(name, "pages", check, FOR_USERS, archive=archive, settings=own) or []
        return routes

    def complete_keys(self, data_type: DataType, keys: Mapping[str, str | int]) -> Mapping[str, str | int]:
        """Complete the keys that a program gave; PluginError if the plugin fails, UsageError if it refuses one."""
        check, passed = answers.check_keys_answer, (UsageError,)
        owner = self.owners[data_type.name]
        answer = self._ask_first(owner, "complete_keys", check, passed, data_type=data_type, keys=keys)
        return keys if answer is None else answer

    def write(self, work_file: Answering, data_type: DataType, batch: Batch) -> npt.NDArray[np.uint8]:
        """Write a batch into a work file; return a status for each record.

        Raises
        ------
        PluginError
            The answer is not a status for each record, or does not match what the work file holds.
        StorageError
            The work file could not be written, whatever the plugin made of that.
        """
        protect(batch)
        for name in self.list_asked(self.owners[data_type.name]):
            work_file.answers.clear()
            work_file.failed = None

            def check(answer: object) -> npt.NDArray[np.uint8]:
                statuses = check_statuses(answer, batch, data_type)
                check_written(statuses, batch, data_type, work_file.answers)
                return statuses

            try:
                answer = self._ask(name, "write", check, work_file=work_file, data_type=data_type, batch=batch)
            except PluginError:
                if work_file.failed is None:
                    raise
            if work_file.failed is not None:
                raise work_file.failed
            if answer is not None:
                return answer
            if work_file.answers:
                raise PluginError(f"write of {data_type.name} wrote records and answered None", plugin=name)
        raise PluginError(f"no plugin writes {data_type.name}")

    def exporters(self, data_type: DataType) -> dict[str, tuple[str, Exporter | RangeExporter]]:
        """Return the exporters that can write records of a data type, by name, each with the plugin that offers it.

        The data type may be of a plugin that is not installed. A failure of a plugin that the data type does not belong
        to is added to the failures, and not raised.
        """
        found: dict[str, tuple[str, Exporter | RangeExporter]] = {}
        for name, offers in self._list_export_offers(data_type):
            serving = [each for each in offers if not isinstance(each, BlobReader) and each.serves(data_type)]
            found = {each.name: (name, each) for each in serving} | found
        return found

    def blob_readers(self, data_type: DataType) -> dict[str, BlobReader]:
        """Return what reads the blobs of a data type as samples, by field; of two, as for :meth:`exporters`."""
        found: dict[str, BlobReader] = {}
        for _, offers in self._list_export_offers(data_type):
            readers = [each for each in offers if isinstance(each, BlobReader) and each.data_type == data_type.name]
            found = {each.field: each for each in readers if each.field in data_type.blob_fields} | found
        return {each.field: each for each in list_declared_readers(data_type)} | found

    def _list_export_offers(
        self, data_type: DataType
    ) -> Iterator[tuple[str, list[Exporter | RangeExporter | BlobReader]]]:
        """Yield what each plugin offers for exports, those first whose offers count if two have one name."""
        owner = self.owners.get(data_type.name)
        asked = [] if owner is None else self.list_asked(owner)[:-1]
        for name in dict.fromkeys([*asked, *self.names, BUILTIN]):
            offered: list[Exporter | RangeExporter | BlobReader] = []
            with nullcontext() if name in asked else collect_failures(name, self.failures):
                offered += self._ask(name, "exporters", check_exporters) or []
                if name in asked:
                    older = self._ask(name, "export_formats", answers.check_form_names, data_type=data_type) or []
                    offered += [OlderExporter(form, partial(self._hooks.call, name, "export")) for form in older]
            yield name, offered

    def export(self, name: str, exporter: Exporter, day: Day, directory: Path) -> list[Path]:
        """Write a day with an exporter and return the files; PluginError or StorageError if that fails."""
        with convert_disk_errors(directory), blame(name_foreign(name), "export", FOR_USERS):
            return answers.check_files(exporter.export(day, directory), "export", directory)

    def export_range(self, name: str, exporter: RangeExporter, selection: Selection, path: Path) -> None:
        """Write records with an exporter, under a hidden name until the file is whole; errors as for :meth:`export`."""
        check_target(path)
        blamed = blame(name_foreign(name), "write", FOR_USERS)
        with convert_disk_errors(path), replace_file(path, exporter.suffix) as hidden, blamed:
            exporter.write(selection, hidden)

    def plots(self, data_type: DataType) -> dict[str, tuple[str, Plot]]:
        """Return the plots of a data type by name, each with the plugin that offers it; no plugin need have the type.

        A failure of a plugin that the data type does not belong to is added to the failures, and not raised.
        """
        owner = self.owners.get(data_type.name)
        asked = [BUILTIN] if owner is None else self.list_asked(owner)
        found: dict[str, tuple[str, Plot]] = {}
        for name in dict.fromkeys([*asked[:-1], *self.names, BUILTIN]):
            with nullcontext() if name in asked else collect_failures(name, self.failures):
                offered = self._ask(name, "plots", partial(check_plots, data_type=data_type)) or []
                found = {plot.name: (name, plot) for plot in offered} | found
        return found

    def draw(self, name: str, plot: Plot, *arguments: Any, log: bool) -> None:  # noqa: ANN401 - those of Plot.draw
        """Draw with a plot of a plugin; PluginError if that fails."""
        with blame(name_foreign(name), "plots", FOR_USERS):
            plot.draw(*arguments, log=log)

    def simulate(self, name: str, day: np.datetime64, seed: int, directory: Path) -> list[Path]:
        """Write sample sources of a plugin and return the files; errors as for :meth:`export`."""
        check = partial(answers.check_files, hook="simulate", directory=directory)
        with convert_disk_errors(directory):
            files = self._ask(name, "simulate", check, FOR_USERS, day=day, seed=seed, directory=directory)
        if files is None:
            raise UsageError(f"plugin {name} has no simulation")
        return files

    def send(self, name: str, **arguments: Any) -> Iterator[str]:  # noqa: ANN401 - those of the hook
        """Let a plugin send to a server; yield lines about it meanwhile. PluginError or StorageError if that fails."""
        lines = self._ask(name, "send", answers.check_lines, FOR_USERS, **arguments)
        if lines is None:
            raise UsageError(f"plugin {name} has no clients to simulate")
        while True:
            with blame(name, "send", FOR_USERS):
                line = next(lines, None)
                if line is not None:
                    line = answers.check_line(line)
            if line is None:
                return
            yield line
