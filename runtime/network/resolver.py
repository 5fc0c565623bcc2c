"""The program that answers a container's questions for names while it asks any.

It is started by :mod:`runtime.network.stub`, with the container's UDP socket as descriptor 3 and the
listening TCP socket as 4. It stays in the machine's network, so a server
on the machine's loopback can be an upstream, and ends after ``IDLE`` seconds without a question or when
its monitor dies.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import struct
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from runtime.network import names
from runtime.store.database import Database

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["IDLE", "forward", "main"]

IDLE = 30.0
UPSTREAM_TIMEOUT = 4.0
"""Seconds that each of at most three upstreams gets, docker's."""
WORKERS = 32
CLIENT_TIMEOUT = 10.0
PR_SET_PDEATHSIG = 1


def forward(
    query: bytes, upstreams: Sequence[str], *, stream: bool, timeout: float = UPSTREAM_TIMEOUT
) -> bytes:
    """The first upstream's answer to the question; a server failure when none answers in time. ``stream``
    asks over TCP; a cut answer over UDP is given as it is, and the client asks again over TCP itself."""
    for upstream in upstreams[:3]:
        try:
            answer = _over_tcp(query, upstream, timeout) if stream else _over_udp(query, upstream, timeout)
        except OSError:
            continue
        if len(answer) >= 12 and answer[3] & 15 != names.SERVER_FAILURE:
            return answer
    return names.failure(query) or b""


def _over_udp(query: bytes, upstream: str, timeout: float) -> bytes:
    """Raises OSError, TimeoutError among them. Only the upstream's own answer to this question counts."""
    family = socket.AF_INET6 if ":" in upstream else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        sock.settimeout(timeout)
        sock.connect((upstream, 53))
        sock.send(query)
        while (answer := sock.recv(65535))[:2] != query[:2]:
            pass
        return answer


def _over_tcp(query: bytes, upstream: str, timeout: float) -> bytes:
    with socket.create_connection((upstream, 53), timeout) as sock:
        sock.sendall(struct.pack(">H", len(query)) + query)
        return _read_message(sock)


def _read_message(sock: socket.socket) -> bytes:
    """One message with its length before it. Raises OSError, ConnectionError when the peer hangs up."""
    (length,) = struct.unpack(">H", _read(sock, 2))
    return _read(sock, length)


def _read(sock: socket.socket, length: int) -> bytes:
    data = b""
    while len(data) < length:
        chunk = sock.recv(length - len(data))
        if not chunk:
            raise ConnectionError("the peer hung up")
        data += chunk
    return data


class _Server:
    """Names are answered at once by the thread that reads; forwarding and TCP clients wait in workers."""

    def __init__(self, udp: socket.socket, tcp: socket.socket, db: Database, container_id: str) -> None:
        self._udp = udp
        self._tcp = tcp
        self._db = db
        self._container_id = container_id
        self._resolver = names.Resolver(self._find, self._find_name)
        self._workers = ThreadPoolExecutor(WORKERS)
        self._free = threading.BoundedSemaphore(4 * WORKERS)

    def _find(self, name: str) -> list[str]:
        networks = names.networks_of(self._db, self._container_id)
        return names.lookup(self._db, networks, name, names.links_of(self._db, self._container_id))

    def _find_name(self, address: str) -> str:
        return names.reverse(self._db, names.networks_of(self._db, self._container_id), address)

    def serve(self, upstreams: Sequence[str]) -> None:
        """Until nobody has asked for ``IDLE`` seconds."""
        while True:
            ready, _, _ = select.select([self._udp, self._tcp], [], [], IDLE)
            if not ready:
                break
            if self._udp in ready:
                self._datagram(upstreams)
            if self._tcp in ready:
                self._client(upstreams)
        self._workers.shutdown()

    def _datagram(self, upstreams: Sequence[str]) -> None:
        try:
            query, client = self._udp.recvfrom(4096, socket.MSG_DONTWAIT)
        except OSError:
            return
        answer = self._resolver.answer(query)
        if answer is not None:
            self._send(answer, client)
        else:
            self._later(self._forward_datagram, query, client, upstreams)

    def _forward_datagram(self, query: bytes, client: tuple[str, int], upstreams: Sequence[str]) -> None:
        self._send(forward(query, upstreams, stream=False), client)

    def _send(self, answer: bytes, client: tuple[str, int]) -> None:
        try:
            self._udp.sendto(answer, client)
        except OSError:
            return  # the client has gone; it asks again if it still wants to know

    def _client(self, upstreams: Sequence[str]) -> None:
        try:
            sock, _ = self._tcp.accept()
        except OSError:
            return
        self._later(self._converse, sock, upstreams)

    def _converse(self, sock: socket.socket, upstreams: Sequence[str]) -> None:
        with sock:
            sock.settimeout(CLIENT_TIMEOUT)
            try:
                while True:
                    query = _read_message(sock)
                    answer = self._resolver.answer(query, limit=None)
                    if answer is None:
                        answer = forward(query, upstreams, stream=True)
                    sock.sendall(struct.pack(">H", len(answer)) + answer)
            except OSError:
                return  # it hung up, or said nothing for too long
            finally:
                self._db.close()

    def _later(self, task: object, *arguments: object) -> None:
        """More than the workers can take is dropped: a client repeats its question."""
        if not self._free.acquire(blocking=False):
            for argument in arguments:
                if isinstance(argument, socket.socket):
                    argument.close()
            return

        def work() -> None:
            try:
                task(*arguments)  # type: ignore[operator]  # a bound method of ours
            finally:
                self._free.release()

        self._workers.submit(work)


def main() -> None:
    state, container_id, *upstreams = sys.argv[1:]
    from runtime.kernel import syscalls

    parent = os.getppid()
    syscalls.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        return
    udp, tcp = (socket.socket(fileno=fd) for fd in (3, 4))
    tcp.setblocking(False)
    _Server(udp, tcp, Database(Path(state) / "tuidock.db"), container_id).serve(upstreams)


if __name__ == "__main__":
    main()
