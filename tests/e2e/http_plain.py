"""HTTP/1.1 over a socket: well-formed requests, and requests that no library would send. Every answer is compared with its description."""

from __future__ import annotations

import http.client
import json
import socket
from dataclasses import dataclass
from typing import Any, Mapping

from described import check_described

TIMEOUT = 60.0


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes

    def header(self, name: str) -> str | None:
        return self.headers.get(name)

    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def outcome(self) -> tuple[int, str | None]:
        """Status and outcome of a webhook's answer: what most tests compare."""
        return self.status, self.json().get("outcome") if self.status == 200 else None


@dataclass(frozen=True)
class Site:
    """Where a web server listens."""

    host: str
    port: int

    def connect(self) -> socket.socket:
        return socket.create_connection((self.host, self.port), TIMEOUT)


def head(method: str, target: str, headers: Mapping[str, str], host: str = "127.0.0.1") -> bytes:
    """The head of a request, as written: nothing is added but Host and Connection."""
    lines = [f"{method} {target} HTTP/1.1", f"Host: {host}", "Connection: close"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def chunked(body: bytes, size: int, trailer: bytes = b"") -> bytes:
    """BODY in the chunked transfer coding, SIZE bytes a chunk, with TRAILER fields (each ending in CRLF)."""
    pieces = [body[at : at + size] for at in range(0, len(body), size)]
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n" + trailer + b"\r\n"


def request(site: Site, method: str, target: str, headers: Mapping[str, str], body: bytes | None = None) -> Answer:
    """One request on a connection of its own."""
    fields = dict(headers)
    if body is not None:
        fields["Content-Length"] = str(len(body))
    answer = send_raw(site, head(method, target, fields) + (body or b""), method)
    assert answer is not None, f"{method} {target}: the connection was closed without an answer"
    return answer


def send_raw(site: Site, data: bytes, method: str = "POST", half_close: bool = False) -> Answer | None:
    """Sends DATA as it is and reads one answer; None when the connection ends without one. HALF_CLOSE: nothing more will come."""
    with site.connect() as connection:
        try:
            connection.sendall(data)
            if half_close:
                connection.shutdown(socket.SHUT_WR)
        except (BrokenPipeError, ConnectionResetError):
            pass  # answered before all of it was read
        answer = read_answer(connection, method)
    words = data.partition(b"\r\n")[0].decode("latin-1").split(" ")
    if answer is not None and len(words) == 3:
        check_described(words[0], words[1], answer)
    return answer


def read_answer(connection: socket.socket, method: str) -> Answer | None:
    response = http.client.HTTPResponse(connection, method=method)
    try:
        response.begin()
        return Answer(response.status, response.headers, response.read())
    except (http.client.RemoteDisconnected, ConnectionResetError):
        return None
    finally:
        response.close()


class Connection:
    """A kept connection, for many requests."""

    def __init__(self, site: Site) -> None:
        self._connection = http.client.HTTPConnection(site.host, site.port, timeout=TIMEOUT)

    def request(self, method: str, target: str, headers: Mapping[str, str], body: bytes | None = None) -> Answer:
        self._connection.request(method, target, body, dict(headers))
        response = self._connection.getresponse()
        answer = Answer(response.status, response.headers, response.read())
        check_described(method, target, answer)
        return answer

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, *exception: object) -> None:
        self._connection.close()
