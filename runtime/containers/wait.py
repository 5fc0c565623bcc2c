"""wait: until the container is not running."""

from __future__ import annotations

import select

from runtime.containers.control import connect
from runtime.context import Context
from runtime.errors import Cancelled, Conflict
from runtime.model.event import CancelEvent
from runtime.monitor import wire
from runtime.store import containers as store

__all__ = ["wait"]


def wait(ctx: Context, reference: str, *, cancel: CancelEvent | None = None) -> int:
    """The exit code; at once when it does not run. Raises Cancelled, NotFound."""
    from runtime.containers.list import get_container

    container = get_container(ctx, reference)
    if not container.state.status.alive:
        return container.state.exit_code
    try:
        sock = connect(ctx, container)
    except Conflict:
        return get_container(ctx, container.id).state.exit_code
    try:
        sock.sendall(wire.request({"op": "wait"}))
        buffer = wire.FrameBuffer()
        while True:
            item = buffer.next()
            if item is not None and item[0] == wire.EXIT:
                code: int = wire.EXIT_RECORD.unpack(item[1])[0]
                return code
            if cancel is not None:
                while not select.select([sock], [], [], 0.2)[0]:
                    if cancel.is_set():
                        raise Cancelled(f"no longer waiting for {container.name}")
            if not wire.receive(sock, buffer):
                break
    except OSError:
        pass
    finally:
        sock.close()
    current = store.get(ctx.db, container.id)
    if current is not None and current.state.status.alive:
        return get_container(ctx, container.id).state.exit_code
    return current.state.exit_code if current is not None else 137
