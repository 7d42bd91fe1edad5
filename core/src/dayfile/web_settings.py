"""What can be set for ``dayfile web``."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["WebSettings"]


class WebSettings(BaseModel):
    """The settings ``web.*``."""

    model_config = ConfigDict(validate_by_name=True, validate_by_alias=True, allow_inf_nan=False)

    web_title: str = Field("dayfile archive", alias="web.title", description="what the archive is called")
    web_id: str = Field(
        "dayfile", alias="web.id", description="a name that no other server has, with that of the organisation in it"
    )
    web_contact: str = Field("", alias="web.contact", description="whom to ask: a name or an e-mail address")
    web_description: str = Field("", alias="web.description", description="what the archive has, in a sentence or two")
    web_url: str = Field("", alias="web.url", description="the address that others have, where a proxy is in front")
    web_token: str = Field(
        "",
        alias="web.token",
        description="what a request must carry, as bearer token or as password; empty: anybody may read; best given in "
        "the environment",
    )
    web_cors: str = Field(
        "*",
        alias="web.cors",
        description="origins whose pages may read in a browser, comma-separated; *: all; empty: none",
    )
    web_workers: int | None = Field(
        None, alias="web.workers", ge=1, le=64, description="processes that answer; if not set, one a core, up to 4"
    )
    web_requests_per_minute: int = Field(
        600,
        alias="web.requests_per_minute",
        gt=0,
        description="requests of one address (a /64 of IPv6) that each process answers in a minute; 127.0.0.1 and "
        "serve.proxies are not limited",
    )
    web_answers: int = Field(
        16,
        alias="web.answers",
        gt=0,
        description="answers with records that each process writes at once, each in up to 18 MB of memory; one more "
        "waits, and a slow client is cut for it",
    )
    web_answers_per_address: int = Field(
        8,
        alias="web.answers_per_address",
        gt=0,
        description="answers with records that one address may take from each process at once; 127.0.0.1 and "
        "serve.proxies are not limited",
    )
    web_answer_seconds: float = Field(
        1800.0, alias="web.answer_seconds", gt=0, description="seconds that a client may take to receive an answer"
    )
    web_most_records: int = Field(
        50_000_000, alias="web.most_records", gt=0, description="records that one request may ask for"
    )
