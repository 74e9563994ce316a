"""Which faults of the outside pass by themselves: the other side did not answer, or not to the end."""

BUSY = {429, 500, 502, 503, 504}
"""Answers of a server that is not well at the moment."""


def is_passing(error: BaseException | None) -> bool:
    """Whether an error, or what caused it, is of the network and not of what was asked."""
    from aiohttp import ClientConnectionError, ClientPayloadError
    from botocore.exceptions import ClientError, HTTPClientError, IncompleteReadError, ResponseStreamingError
    from botocore.exceptions import ConnectionError as NotConnected

    passing = (
        ConnectionError,
        NotConnected,
        TimeoutError,
        ClientConnectionError,
        ClientPayloadError,
        HTTPClientError,
        IncompleteReadError,
        ResponseStreamingError,
    )
    while error is not None:
        if isinstance(error, passing):
            return True
        if isinstance(error, ClientError):
            return error.response.get("ResponseMetadata", {}).get("HTTPStatusCode") in BUSY
        error = error.__cause__
    return False
