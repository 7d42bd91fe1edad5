"""The words for times: how the fields, parts or texts of a record make its time."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, StrictInt, Tag

from dayfile.layouts.words import DateTime, Name, Words
from dayfile.model.clock import Scale
from dayfile.timing.zones import Repeated

__all__ = [
    "AddendWords",
    "CalendarWords",
    "CallWords",
    "CountWords",
    "DateWords",
    "FirstWords",
    "MadeWords",
    "StampWords",
    "SumWords",
    "TextWords",
    "TimeWords",
]


class FractionWords(Words):
    """A field that is added to a time, as its fraction."""

    fraction: Name | None = Field(None, description="field that is added; 'undefined' values of the clock add nothing")
    unit: Literal["s", "ms", "us", "ns"] = Field("ns", description="what 1 in that field is")


class CountWords(FractionWords):
    """A time that a field counts in ticks of the clock, perhaps with a fraction in a second field."""

    field: Name = Field(description="field that counts; it decides day and slot")
    whole: Name | None = Field(
        None, description="field that has the whole time already, in nanoseconds since the epoch; 0 where it does not"
    )
    begins: Literal["moment", "tick"] = Field(
        "moment",
        description="with 'tick', a bound without a fraction compares whole ticks: records begin at their tick",
    )


class CalendarWords(FractionWords):
    """A time in fields for the parts of date and time, in UTC."""

    year: Name = Field(description="field of the year, such as 1997")
    month: Name = Field(description="field of the month, from 1")
    day: Name = Field(description="field of the day of the month, from 1")
    hour: Name | None = Field(None, description="field of the hour")
    minute: Name | None = Field(None, description="field of the minute")
    second: Name | None = Field(None, description="field of the second, 60 in a leap second")


class AddendWords(Words):
    """A value that is added to a time."""

    unit: str = Field(description="what 1 is: w, d, h, min, s, ms, us, ns, or a fraction of a second such as 1/65536 s")
    least: StrictInt | None = Field(None, description="the least value that is possible; less is rejected")
    below: StrictInt | None = Field(None, description="the first value that is too large; it is rejected")
    modulo: StrictInt | None = Field(None, ge=2, description="after how many a value begins again at 0; with 'since'")
    since: DateTime | None = Field(
        None, description="with 'modulo', a date before all times; a value means the first time from then on"
    )


def choose_addend(value: Any) -> str:  # noqa: ANN401 - whatever YAML holds
    """Choose between a unit and a mapping, so that an error is about that form only."""
    return "mapping" if isinstance(value, dict | AddendWords) else "unit"


Addends = dict[
    Name,
    Annotated[
        Annotated[str, Tag("unit")] | Annotated[AddendWords, Tag("mapping")],
        Discriminator(choose_addend),
    ],
]


class MadeWords(Words):
    """A time that is made when a source is decoded, and stored in a field of its own."""

    plus: Addends = Field(default_factory=dict, description="what is added: units by name, or mappings")
    scale: Scale = Field("utc", description="time scale in which the time is given")
    zone: str | None = Field(
        None, description="time zone such as Europe/Amsterdam, or 'required': the instrument's setting 'zone' has it"
    )
    repeated: Repeated = Field(
        "first", description="which time is meant where clocks were put back, so that an hour comes twice"
    )


class SumWords(MadeWords):
    """A time that is a sum of parts from an epoch."""

    epoch: DateTime = Field(description="date and time at which all parts are 0, in the scale")
    plus: Addends = Field(min_length=1, description="the parts: units by name, or mappings")
    leap_seconds: Literal["ignored", "counted"] = Field(
        "ignored", description="whether a sum in UTC runs on through leap seconds; those in other scales do"
    )


class DateWords(MadeWords):
    """A date and a time of day in parts, by name: integers, or texts of digits."""

    year: Name = Field(description="name of the year, such as 1997")
    month: Name | None = Field(None, description="name of the month, from 1")
    day: Name | None = Field(None, description="name of the day of the month, from 1")
    day_of_year: Name | None = Field(None, description="name of the day of the year, from 1: in place of month and day")
    hour: Name | None = Field(None, description="name of the hour")
    minute: Name | None = Field(None, description="name of the minute")
    second: Name | None = Field(None, description="name of the second, 60 in a leap second; it may have decimals")


class TextWords(MadeWords):
    """A time that is a text, or several together."""

    text: str = Field(description="names in braces, with what is between them, such as '{date} {clock}'")
    form: str | None = Field(
        None, description="strptime's letters, such as '%Y-%m-%d %H:%M:%S.%f'; if left out, the text is ISO 8601"
    )


class FirstWords(Words):
    """The time of the first record of another type in the same file."""

    first: Name = Field(description="the type")


class CallWords(Words):
    """A time that a function of the package makes."""

    call: str = Field(description="the function, as module.function; it gets all values by name, and returns times")


FORMS_OF_TIMES = {
    "call": "function",
    "text": "texts",
    "epoch": "sum",
    "first": "first record",
    "year": "calendar",
    "field": "count",
}
"""The form that is meant, by a word that only this form has. Forms have other names than words: errors name both."""
ONLY_OF_DATES = {"day_of_year", "plus", "scale", "zone", "repeated"}
TAGS_OF_WORDS: dict[type[Words], str] = {
    CountWords: "count",
    CalendarWords: "calendar",
    DateWords: "date",
    SumWords: "sum",
    TextWords: "texts",
    FirstWords: "first record",
    CallWords: "function",
}


def name_a_time(value: Any) -> str:  # noqa: ANN401 - whatever YAML holds
    """Name the form of a time that is meant, so that a complaint is about that one alone."""
    if isinstance(value, Words):
        return TAGS_OF_WORDS[type(value)]
    if not isinstance(value, dict):
        return "name"
    form = next((form for word, form in FORMS_OF_TIMES.items() if word in value), None)
    if form is None:
        less_clear = {"form": "texts", "month": "calendar", "day": "calendar", "day_of_year": "calendar", "plus": "sum"}
        form = next((form for word, form in less_clear.items() if word in value), "count")
    return "date" if form == "calendar" and ONLY_OF_DATES & value.keys() else form


StampWords = Annotated[
    Annotated[Name, Tag("name")] | Annotated[CountWords, Tag("count")] | Annotated[CalendarWords, Tag("calendar")],
    Discriminator(name_a_time),
]
"""A time that stored fields make by the clock."""

TimeWords = Annotated[
    Annotated[Name, Tag("name")]
    | Annotated[CountWords, Tag("count")]
    | Annotated[CalendarWords, Tag("calendar")]
    | Annotated[DateWords, Tag("date")]
    | Annotated[SumWords, Tag("sum")]
    | Annotated[TextWords, Tag("texts")]
    | Annotated[FirstWords, Tag("first record")]
    | Annotated[CallWords, Tag("function")],
    Discriminator(name_a_time),
]
"""A time that stored fields make by the clock, or one that is made when a source is decoded."""
