"""Status codes of HAPI, and the error that a request ends with."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus

from dayfile.errors import DayfileError

__all__ = ["NO_DATA", "OK", "RequestError", "describe_status"]

OK, NO_DATA = 1200, 1201

CODES: Mapping[int, tuple[HTTPStatus, str]] = {
    OK: (HTTPStatus.OK, "OK"),
    NO_DATA: (HTTPStatus.OK, "OK - no data for time range"),
    1400: (HTTPStatus.BAD_REQUEST, "Bad request - user input error"),
    1401: (HTTPStatus.BAD_REQUEST, "Bad request - unknown API parameter name"),
    1402: (HTTPStatus.BAD_REQUEST, "Bad request - syntax error in start time"),
    1403: (HTTPStatus.BAD_REQUEST, "Bad request - syntax error in stop time"),
    1404: (HTTPStatus.BAD_REQUEST, "Bad request - start equal to or after stop"),
    1405: (HTTPStatus.BAD_REQUEST, "Bad request - start < startDate and/or stop > stopDate"),
    1406: (HTTPStatus.NOT_FOUND, "Bad request - unknown dataset id"),
    1407: (HTTPStatus.NOT_FOUND, "Bad request - unknown dataset parameter"),
    1408: (HTTPStatus.BAD_REQUEST, "Bad request - too much time or data requested"),
    1409: (HTTPStatus.BAD_REQUEST, "Bad request - unsupported output format"),
    1410: (HTTPStatus.BAD_REQUEST, "Bad request - unsupported include value"),
    1411: (HTTPStatus.BAD_REQUEST, "Bad request - out-of-order or duplicate parameters"),
    1412: (HTTPStatus.BAD_REQUEST, "Bad request - unsupported resolve_references value"),
    1413: (HTTPStatus.BAD_REQUEST, "Bad request - unsupported depth value"),
    1500: (HTTPStatus.INTERNAL_SERVER_ERROR, "Internal server error"),
}
"""The HTTP status and the text of each code, as the specification has them."""


class RequestError(DayfileError):
    """A request that cannot be answered.

    Parameters
    ----------
    code : int
        The code of HAPI.
    detail : str
        What else helps its sender; never what they sent, nor anything of this machine.
    status : HTTPStatus, optional
        The HTTP status; that of the code if not given.
    """

    def __init__(self, code: int, detail: str = "", status: HTTPStatus | None = None) -> None:
        known, text = CODES[code]
        super().__init__(f"{text}: {detail}" if detail else text)
        self.code = code
        self.headers: Mapping[str, str] = {}
        """Further headers of the answer."""
        self.status = status or known


def describe_status(code: int, message: str = "") -> dict[str, object]:
    """Return the status object of an answer, with the text of the code unless another is given.

    Examples
    --------
    >>> describe_status(1200)
    {'code': 1200, 'message': 'OK'}
    """
    return {"code": code, "message": message or CODES[code][1]}
