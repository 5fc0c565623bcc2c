"""``network connect`` and ``network disconnect``: at once where the container runs, else for its next start.

A container's place on a network is a row, a link, a route, ports, names and lines in its files. The row and
the link change together, inside one transaction; the rest follows from the rows (:func:`_follow`) and can be
done again. Who changes a running container leaves a trace first (a file named after it, below the run
directory), and the next command does what a killed one has not (:func:`finish_dead`).
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from runtime.containers.control import MonitorGone, ask, ask_with_fds, turn
from runtime.context import Context
from runtime.errors import Conflict, EngineError, InvalidInput, NotFound
from runtime.model.container import Container, Endpoint, NetworkAttachment
from runtime.model.network import Network
from runtime.network import bridges, endpoints, plug, pools
from runtime.network.list import get_network
from runtime.network.stub import resolver_command
from runtime.store import containers as store
from runtime.store.database import Transaction

__all__ = ["connect", "disconnect", "finish_dead"]

_SHARED = (
    "container sharing network namespace with another container or host cannot be connected to any other"
    " network"
)
_HOST = "container cannot be disconnected from host network or connected to host network"
_NONE = "container cannot be connected to multiple networks with one of the networks in private (none) mode"


def connect(ctx: Context, reference: str, attachment: NetworkAttachment) -> None:
    """Raises NotFound (container, network), Conflict (host, none, already there, address, port),
    InvalidInput, Unavailable, Denied, Failed. One that could not be connected is as it was."""
    network = get_network(ctx, attachment.network)
    container = store.find(ctx.db, reference)
    with turn(ctx, container.id):
        container = store.find(ctx.db, container.id)
        _check(container, network, attachment)
        if network.name == "none":
            _onto_none(ctx, container, network)
            return
        wanted = replace(attachment, network=network.name)
        if container.state.status.alive and not _left_alone(ctx, container):
            _connect_running(ctx, container, network, wanted)
        elif not _is_on(container, network):
            with ctx.db.write() as tx:
                _record(tx, container, (*container.config.networks, wanted))


def disconnect(ctx: Context, network_reference: str, reference: str, *, force: bool = False) -> None:
    """Raises NotFound, Conflict (host, or it is not on that network), Denied, Failed. With ``force`` a
    stopped container also forgets a network that is gone."""
    network = _network(ctx, network_reference, forgiving=force)
    try:
        container = store.find(ctx.db, reference)
    except NotFound as error:
        if force:
            raise NotFound(f"endpoint {reference} not found", subject=reference) from error
        raise
    with turn(ctx, container.id):
        container = store.find(ctx.db, container.id)
        mode = container.config.network_mode
        if mode == "host" and network.name == "host":
            raise Conflict(_HOST, subject=container.name)
        if mode == "none" and network.name == "none":
            _off_none(ctx, container, network)
            return
        alive = container.state.status.alive and not _left_alone(ctx, container)
        if not _is_on(container, network):
            the = "" if alive else "the "
            raise Conflict(
                f"container {container.id} is not connected to {the}network {network.name}",
                hint=f"tuidock inspect {container.name} lists its networks under NetworkSettings",
                subject=network.name,
            )
        if alive:
            with _trace(ctx, container.id):
                _leave(ctx, container, network)
                _follow(ctx, container.id)
            return
        with ctx.db.write() as tx:
            _record(tx, container, _without(container, network))
            if network.id:
                tx.event("network", "disconnect", network.id, **_told(container, network))


def _network(ctx: Context, reference: str, *, forgiving: bool) -> Network:
    try:
        return get_network(ctx, reference)
    except NotFound:
        if not forgiving:
            raise
        return Network(id="", name=reference, driver="bridge", created_at=0)


def _told(container: Container, network: Network) -> dict[str, str]:
    return {"container": container.id, "name": network.name, "type": network.driver}


def _check(container: Container, network: Network, attachment: NetworkAttachment) -> None:
    """What docker refuses before it looks at anything else."""
    mode = container.config.network_mode
    if mode == "host" or mode.startswith("container:"):
        raise Conflict(_SHARED, subject=container.name)
    if network.name == "host":
        raise Conflict(_HOST, subject=container.name)
    if mode == "none" or (network.name == "none" and container.config.networks):
        hint = f"tuidock network disconnect none {container.name}" if mode == "none" else None
        raise Conflict(_NONE, hint=hint, subject=container.name)
    default = network.name in (bridges.DEFAULT, "none")
    if default and attachment.aliases:
        raise InvalidInput("network-scoped aliases are only supported for user-defined networks")
    if default and attachment.links:
        raise InvalidInput("links are only supported for user-defined networks", hint="give --link to run")
    if attachment.ipv4_address is not None:
        pools.address_value(attachment.ipv4_address)
        endpoints.check_address(network, attachment.ipv4_address)


def _left_alone(ctx: Context, container: Container) -> bool:
    """Its monitor is dead: it does not run, whatever its row says."""
    from runtime.containers.control import monitor_pid

    if monitor_pid(ctx, container.id):
        return False
    from runtime.containers.reconcile import settle

    settle(ctx, container)
    return True


def _is_on(container: Container, network: Network) -> bool:
    return any(item.network in (network.name, network.id) for item in container.config.networks)


def _without(container: Container, network: Network) -> tuple[NetworkAttachment, ...]:
    names = (network.name, network.id)
    return tuple(item for item in container.config.networks if item.network not in names)


def _record(tx: Transaction, container: Container, networks: tuple[NetworkAttachment, ...]) -> None:
    store.set_config(tx, container.id, replace(container.config, networks=networks))


def _onto_none(ctx: Context, container: Container, network: Network) -> None:
    with ctx.db.write() as tx:
        store.set_config(tx, container.id, replace(container.config, network_mode="none"))
        if container.state.status.alive:
            tx.event("network", "connect", network.id, **_told(container, network))
    if container.state.status.alive:
        _tell(ctx, container, nowhere=(network.id, network.name, network.driver))


def _off_none(ctx: Context, container: Container, network: Network) -> None:
    with ctx.db.write() as tx:
        store.set_config(tx, container.id, replace(container.config, network_mode=""))
        tx.event("network", "disconnect", network.id, **_told(container, network))
    if container.state.status.alive:
        _tell(ctx, container, nowhere=())


def _tell(ctx: Context, container: Container, **fields: object) -> None:
    """The monitor; one that has ended meanwhile needs to know nothing."""
    with suppress(Conflict, MonitorGone):
        ask(ctx, container, "network", **fields)


# -- of a container that runs --------------------------------------------------------------------------


def _connect_running(
    ctx: Context, container: Container, network: Network, attachment: NetworkAttachment
) -> None:
    if _is_on(container, network):
        raise Conflict(
            f"endpoint with name {container.name} already exists in network {network.name}",
            subject=network.name,
        )
    with _trace(ctx, container.id):
        _join(ctx, container, attachment)
        try:
            _follow(ctx, container.id)
        except BaseException as error:
            try:
                _leave(ctx, container, network)
                _follow(ctx, container.id)
            except EngineError as second:
                error.add_note(f"and it could not be disconnected again: {second}")
            raise


def _join(ctx: Context, container: Container, attachment: NetworkAttachment) -> None:
    """The configuration, and the row and link where the container still runs."""
    with _namespace(ctx, container) as netns:
        endpoint: Endpoint | None = None
        try:
            with ctx.db.write() as tx:
                current = store.get(tx, container.id)
                if current is None:
                    return
                _record(tx, current, (*current.config.networks, attachment))
                if netns < 0 or not current.state.status.alive:
                    return
                interface = plug.free_interface(current.endpoints)
                endpoint = endpoints.lease(tx, ctx, current.id, attachment, interface)
                present = (*current.endpoints, endpoint)
                plug.repoint(tx, ctx, current.id, current.config.ports, present)
                plug.plug(tx, endpoint, netns)
        except BaseException:
            if endpoint is not None:
                endpoints.disconnect(ctx, [endpoint])
            raise


def _leave(ctx: Context, container: Container, network: Network) -> None:
    """The row goes with its transaction, the link after it: a link of nobody is found by its name."""
    with ctx.db.write() as tx:
        current = store.get(tx, container.id)
        if current is None:
            return
        gone = [e for e in current.endpoints if e.network_id == network.id or e.network_name == network.name]
        present = [endpoint for endpoint in current.endpoints if endpoint not in gone]
        _record(tx, current, _without(current, network))
        for endpoint in gone:
            tx.execute(
                "DELETE FROM endpoint WHERE container_id = ? AND network_id = ?",
                (current.id, endpoint.network_id),
            )
            tx.event("network", "disconnect", endpoint.network_id, **_told(current, network))
        if current.state.status.alive:
            plug.repoint(tx, ctx, current.id, current.config.ports, present)
    endpoints.disconnect(ctx, gone)


def _follow(ctx: Context, container_id: str) -> None:
    """Everything that follows from the rows: files, routes, the resolver, held ports, the firewall's rules. A
    container that is ending gives everything back itself."""
    container = store.get(ctx.db, container_id)
    if container is None or not container.state.status.alive:
        return
    present: Sequence[Endpoint] = container.endpoints
    names: list[str] = []
    if endpoints.has_names(present):
        upstreams = endpoints.upstreams(ctx, container.config, present)
        names = resolver_command(str(ctx.paths.state), container.id, upstreams)
    held = [(port.host_ip, port.host_port, port.protocol) for port in container.ports]
    try:
        ask(ctx, container, "network", ports=held, names=names)
    except (Conflict, MonitorGone):
        return
    with _namespace(ctx, container) as netns:
        if netns >= 0:
            plug.route(ctx, present, netns)
    plug.write_files(ctx, ctx.paths.container(container.id), container.config, present)
    endpoints.publish(ctx, container.id)


@contextmanager
def _namespace(ctx: Context, container: Container) -> Iterator[int]:
    """A descriptor of its network namespace, from its monitor, which holds it between restarts too; -1 when
    it has ended."""
    try:
        _reply, fds = ask_with_fds(ctx, container, "netns")
    except (Conflict, MonitorGone):
        yield -1
        return
    try:
        yield fds[0]
    finally:
        for fd in fds:
            os.close(fd)


def _traces(ctx: Context) -> Path:
    return ctx.paths.run / "rewiring"


@contextmanager
def _trace(ctx: Context, container_id: str) -> Iterator[None]:
    """The caller holds the container's turn; the trace without a holder is a dead command's."""
    path = _traces(ctx) / container_id
    path.parent.mkdir(mode=0o700, exist_ok=True)
    path.touch(mode=0o600)
    try:
        yield
    except EngineError:
        path.unlink(missing_ok=True)
        raise
    path.unlink(missing_ok=True)


def finish_dead(ctx: Context) -> None:
    """Finish what killed commands have begun. Costs one look for a directory that is seldom there."""
    try:
        found = list(_traces(ctx).iterdir())
    except FileNotFoundError:
        return
    for trace in found:
        container_id = trace.name
        with turn(ctx, container_id, wait=False) as mine:
            if not mine:
                continue
            from runtime.network.sweep import mend

            mend(ctx)
            _follow(ctx, container_id)
            trace.unlink(missing_ok=True)
