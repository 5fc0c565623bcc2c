"""attach: join the container's first process on its standard streams."""

from __future__ import annotations

from runtime.containers.control import check_running, connect, read_reply, send
from runtime.containers.session import AttachSession
from runtime.context import Context
from runtime.errors import Conflict
from runtime.model.container import ContainerStatus
from runtime.monitor import wire
from runtime.store import containers as store

__all__ = ["attach"]


def attach(ctx: Context, reference: str, *, stdin: bool = True) -> AttachSession:
    """Raises Conflict unless it runs (a paused one is refused, as docker does)."""
    container = store.find(ctx.db, reference)
    if container.state.status is ContainerStatus.PAUSED:
        raise Conflict(
            f"cannot attach to a paused container, unpause it first: {container.name}", subject=container.name
        )
    check_running(container)
    sock = connect(ctx, container)
    send(sock, {"op": "attach", "stdin": stdin and container.config.open_stdin})
    buffer = wire.FrameBuffer()
    try:
        reply = read_reply(sock, buffer)
    except BaseException:
        sock.close()
        raise
    with ctx.db.write(lasting=False) as tx:
        tx.event("container", "attach", container.id, name=container.name, image=container.config.image)
    return AttachSession(sock, bool(reply.get("tty")), buffer)
