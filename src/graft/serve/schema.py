"""The shapes of what the server answers, as its OpenAPI description tells them."""

from typing import Any

from pydantic import BaseModel, Field

from graft.models import Prediction
from graft.serve.service import Unreadable


class Result(BaseModel):
    """What is said of one file; where it could not be read, its name and `error` alone."""

    name: str
    predicted: str | None = None
    probabilities: dict[str, float] | None = Field(None, description="calibrated, by class")
    set: list[str] | None = Field(
        None, description="classes that hold the true one at the level of the bundle; null: it has no sets"
    )
    none_of_these: bool | None = Field(None, description="null: the bundle does not know")
    error: str | None = Field(None, description="why it could not be read")


class Results(BaseModel):
    """What is said of each file, in their order."""

    results: list[Result]


class Detail(BaseModel):
    """Why a request was not answered, in one line."""

    detail: str


class Health(BaseModel):
    """That the server answers, and how much it has to do."""

    status: str = Field(description="ok")
    waiting: int = Field(description="files that wait for an answer")
    batch_size: int = Field(description="of the largest batch")


class About(BaseModel):
    """What the model takes and says, and what the server lets in."""

    kind: str = Field(description="of samples: image, sound, text or row")
    plural: str = Field(description="what several are called")
    class_names: list[str]
    columns: list[str] | None = Field(description="of a row of a table")
    shows_places: bool = Field(description="whether POST /looked_at answers")
    limits: dict[str, float]


def result_of(name: str, said: Prediction | Unreadable) -> dict[str, Any]:
    """One file's result, as plain values."""
    if isinstance(said, Unreadable):
        return {"name": name, "error": said.error}
    labels = getattr(said, "set", None)
    return {
        "name": name,
        "predicted": said.label,
        "probabilities": said.probabilities,
        "set": None if labels is None else list(labels),
        "none_of_these": getattr(said, "none_of_these", None),
    }


def refusals(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """What a route may refuse with, by status."""
    said = {
        400: "The request is damaged.",
        404: "This model has no such answer.",
        408: "The request did not arrive in time.",
        413: "Too many files, too many bytes or too many pixels.",
        415: "The request is no multipart/form-data.",
        422: "There is no file, or one that cannot be read.",
        503: "Too much waits, or it took too long; try again.",
    }
    return {status: {"model": Detail, "description": said[status]} for status in statuses}


# The body of a request, which no parameter of Python's describes: it is read part by part.
def multipart(most: int | None = None) -> dict[str, Any]:
    """A body of one file or more, and no more than `most`; limits that are answered with 413 are not told."""
    file = {"type": "string", "format": "binary"}
    files = {"type": "array", "items": file, "minItems": 1} | ({} if most is None else {"maxItems": most})
    schema = {"type": "object", "properties": {"files": files}, "required": ["files"]}
    return {"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": schema}}}}
