"""The capabilities that a container's processes get, by name."""

from __future__ import annotations

from runtime.containers import defaults
from runtime.errors import InvalidInput
from runtime.kernel import capabilities
from runtime.model.container import ContainerConfig

__all__ = ["capability_names"]


def capability_names(config: ContainerConfig) -> list[str]:
    """docker's rule: ALL first, then names; add wins over the default set, drop over add of ALL."""

    def names(wanted: tuple[str, ...], option: str) -> list[str]:
        out = []
        for name in wanted:
            upper = name.upper()
            full = upper if upper == "ALL" or upper.startswith("CAP_") else f"CAP_{upper}"
            if full not in ("ALL", "CAP_ALL"):
                try:
                    capabilities.mask_of([full])
                except ValueError as error:
                    raise InvalidInput(f"{option}: unknown capability {name!r}", subject=name) from error
            out.append("ALL" if full == "CAP_ALL" else full)
        return out

    everything = capabilities.names_of((1 << (capabilities.last_cap() + 1)) - 1)
    if config.privileged:
        return everything
    add, drop = names(config.cap_add, "--cap-add"), names(config.cap_drop, "--cap-drop")
    if "ALL" in add:
        return [name for name in everything if name not in drop]
    base = [] if "ALL" in drop else [name for name in defaults.CAPABILITIES if name not in drop]
    return base + [name for name in add if name not in base]
