"""A FastCGI client, for what web servers smooth over: bodies that end early, missing variables, descriptors as listeners."""

from __future__ import annotations

import email.parser
import socket
import struct
from typing import Mapping

from described import check_described
from http_plain import TIMEOUT, Answer

BEGIN, ABORT, END, PARAMS, STDIN, STDOUT, STDERR, DATA, GET_VALUES = 1, 2, 3, 4, 5, 6, 7, 8, 9
LONGEST_RECORD = 65535


def record(kind: int, content: bytes, request_id: int = 1, version: int = 1) -> bytes:
    return struct.pack(">BBHHBx", version, kind, request_id, len(content), 0) + content


def stream(kind: int, content: bytes) -> bytes:
    pieces = [content[at : at + LONGEST_RECORD] for at in range(0, len(content), LONGEST_RECORD)]
    return b"".join(record(kind, piece) for piece in pieces)


def pair(name: bytes, value: bytes) -> bytes:
    return struct.pack(">II", len(name) | 1 << 31, len(value) | 1 << 31) + name + value


def connect(address: str | tuple[str, int]) -> socket.socket:
    """To the path of a Unix socket, or to (host, port)."""
    connection = socket.socket(socket.AF_UNIX if isinstance(address, str) else socket.AF_INET)
    connection.settimeout(TIMEOUT)
    connection.connect(address)
    return connection


def listens(address: str | tuple[str, int]) -> bool:
    """A socket has its name before it is listened at."""
    try:
        connect(address).close()
    except OSError:
        return False
    return True


def head(params: Mapping[str, str]) -> bytes:
    """A request up to its body."""
    pairs = b"".join(pair(name.encode(), value.encode()) for name, value in params.items())
    return record(BEGIN, struct.pack(">HB5x", 1, 0)) + stream(PARAMS, pairs) + record(PARAMS, b"")


def request(address: str | tuple[str, int], params: Mapping[str, str], body: bytes = b"", complete: bool = True) -> Answer | None:
    """One request. Unless COMPLETE the connection breaks after BODY, and there is no answer."""
    with begin(address, params, body, complete) as connection:
        return finish(connection, params) if complete else None


def begin(address: str | tuple[str, int], params: Mapping[str, str], body: bytes = b"", complete: bool = True) -> socket.socket:
    """Sends a request, on a connection of its own that finish() reads the answer from."""
    data = head(params) + stream(STDIN, body)
    connection = connect(address)
    try:
        connection.sendall(data + (record(STDIN, b"") if complete else b""))
    except OSError:
        connection.close()
        raise
    return connection


def finish(connection: socket.socket, params: Mapping[str, str]) -> Answer:
    """The answer to the request of PARAMS."""
    return parse_cgi(_read_output(connection), params)


def _read_output(connection: socket.socket) -> bytes:
    output = b""
    with connection.makefile("rb") as stream:
        while True:
            _, kind, _, length, padding = struct.unpack(">BBHHBx", stream.read(8))
            content = stream.read(length + padding)[:length]
            if kind == END:
                return output
            if kind == STDOUT:
                output += content


def parse_cgi(output: bytes, params: Mapping[str, str]) -> Answer:
    """A CGI answer (RFC 3875), compared with its description. The id of the request is always there: no web server is between."""
    fields, _, body = output.partition(b"\r\n\r\n")
    headers = email.parser.BytesHeaderParser().parsebytes(fields + b"\r\n\r\n")
    answer = Answer(int(headers.get("Status", "200").split()[0]), headers, body)
    assert answer.header("X-Request-Id"), f"no X-Request-Id: {answer}"
    target = params.get("REQUEST_URI") or params.get("SCRIPT_NAME", "") + params.get("PATH_INFO", "")
    check_described(params.get("REQUEST_METHOD", ""), target, answer)
    return answer


def post_params(target: str, body: bytes, headers: Mapping[str, str], mount: str = "/webhooks") -> dict[str, str]:
    """The meta-variables of a POST, as a web server sets them."""
    params = {
        "GATEWAY_INTERFACE": "CGI/1.1",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REQUEST_METHOD": "POST",
        "REQUEST_URI": mount + target,
        "SCRIPT_NAME": mount,
        "PATH_INFO": target,
        "QUERY_STRING": "",
        "CONTENT_LENGTH": str(len(body)),
        "REMOTE_ADDR": "127.0.0.1",
    }
    return params | {"HTTP_" + name.upper().replace("-", "_"): value for name, value in headers.items()}
