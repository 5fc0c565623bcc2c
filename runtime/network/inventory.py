"""The links of a root as pyroute2 sees them: for sweeping and taking down, where nothing waits for us.

The way of every start has its own encoder (docs/decisions/0010); this is the second pair of eyes, which does
not share its mistakes. Importing pyroute2 costs some 150 ms, so only these functions do.
"""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["delete_links", "link_names"]


def link_names(prefix: str) -> list[str]:
    """Names of the links of this network namespace that begin with ``prefix``, sorted. Raises OSError."""
    from pyroute2 import IPRoute

    with IPRoute() as netlink:
        return sorted(
            name
            for link in netlink.get_links()
            if str(name := link.get_attr("IFLA_IFNAME")).startswith(prefix)
        )


def delete_links(names: Iterable[str]) -> None:
    """One that is gone already is fine: the other end of a pair takes it along. Raises OSError."""
    import errno

    from pyroute2 import IPRoute
    from pyroute2.netlink.exceptions import NetlinkError

    with IPRoute() as netlink:
        for name in names:
            found = netlink.link_lookup(ifname=name)
            if not found:
                continue
            try:
                netlink.link("del", index=found[0])
            except NetlinkError as error:
                if error.code != errno.ENODEV:
                    raise OSError(error.code, f"remove link {name}: {error}") from error
