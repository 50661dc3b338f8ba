"""What every table of the settings file is, and kinds of values that several of them hold."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from schemas.durations import NS_MAX


class Section(BaseModel):
    """A table of the file: unknown keys are errors, values never change after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True)


Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]

WholeNs = Annotated[int, Field(ge=0, le=NS_MAX)]  # the join computes in int64

Policy = Literal["side", "drop", "fail"]

# Dots alone are no name: Kafka takes none of them, and the folder of such a prefix would lie elsewhere.
TopicName = Annotated[str, Field(pattern=r"^\.*[A-Za-z0-9_-][A-Za-z0-9._-]*$", max_length=200)]
