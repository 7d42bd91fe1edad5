"""What every mapping of the vocabulary has in common: only its own words, values as written."""

from __future__ import annotations

import datetime as dt
import re
from typing import Annotated, Any, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, StringConstraints, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

__all__ = ["Code", "Date", "DateTime", "Line", "Name", "Words"]

Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]


def fold_lines(value: Any) -> Any:  # noqa: ANN401 - whatever YAML holds; pydantic judges it afterwards
    """Fold a text that was wrapped in the YAML file into one line."""
    return " ".join(value.split()) if isinstance(value, str) else value


def refuse_numbers_as(kind: str) -> BeforeValidator:
    """Refuse numbers where a date is expected: pydantic would take 1997, and '1997', for seconds since 1970."""

    def refuse_number(value: Any) -> Any:  # noqa: ANN401 - as above
        if isinstance(value, int | float) or (isinstance(value, str) and TEXT_OF_NUMBER.fullmatch(value.strip())):
            raise PydanticCustomError(f"{kind}_type", "not a date")
        return value

    return BeforeValidator(refuse_number)


TEXT_OF_NUMBER = re.compile(r"[-+]?[\d_.]+(?:[eE][-+]?\d+)?")
Date = Annotated[dt.date, refuse_numbers_as("date")]
DateTime = Annotated[dt.datetime, refuse_numbers_as("datetime")]
Code = Annotated[str, StringConstraints(min_length=1)]
Line = Annotated[str, BeforeValidator(fold_lines)]


def find_types(annotation: Any) -> set[Any]:  # noqa: ANN401 - any annotation
    """Find the types in an annotation."""
    inside = [kind for argument in get_args(annotation) for kind in find_types(argument)]
    return {annotation, *inside} if isinstance(annotation, type) else set(inside)


class Words(BaseModel):
    """A mapping of the vocabulary: only its own words, values as written."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @field_validator("*", mode="before")
    @classmethod
    def refuse_true_as_1(cls, value: Any, info: ValidationInfo) -> Any:  # noqa: ANN401 - whatever YAML holds
        """Refuse true and false (or yes and no) where a number is expected: Python takes them for 1 and 0."""
        kinds = find_types(cls.model_fields[info.field_name or ""].annotation)
        values = value if isinstance(value, list) else value.values() if isinstance(value, dict) else [value]
        if any(isinstance(each, bool) for each in values) and bool not in kinds and kinds & {int, float}:
            raise PydanticCustomError("number_type", "must be a number, not true or false (or yes, no, on, off)")
        return value
