"""Listening: the socket, uvicorn on it, and what a port says that cannot be had."""

import logging
import os
import socket

import uvicorn
from fastapi import FastAPI

from graft.errors import GraftError

# Requests that wait to be accepted.
BACKLOG = 2048


def listening(host: str, port: int) -> socket.socket:
    """A socket that listens; port 0 takes any that is free.

    Raises:
        GraftError: the port is taken or not allowed, or there is no such host.
    """
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
    except socket.gaierror as error:
        raise GraftError(f"host={host}: there is no such address ({error.strerror})") from error
    try:
        return socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OSError as error:
        reason = os.strerror(error.errno or 0).lower()
        raise GraftError(
            f"port={port} of host={host} cannot be had ({reason}); give another port="
        ) from error


def address_of(taken: socket.socket) -> str:
    """What a browser is told to open."""
    host, port = taken.getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


def serve(app: FastAPI, taken: socket.socket) -> None:
    """Answer until a signal says to stop, which is then raised again as if nobody had caught it."""
    # It tells of every request that is not quite right.
    logging.getLogger("python_multipart").setLevel(logging.ERROR)
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=5,
    )
    uvicorn.Server(config).run(sockets=[taken])
