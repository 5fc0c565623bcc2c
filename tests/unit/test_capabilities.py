"""Capability names and masks."""

from __future__ import annotations

import pytest

from runtime.kernel import capabilities


def test_numbers_are_the_kernels() -> None:
    assert capabilities.NAMES.index("CAP_SYS_ADMIN") == 21
    assert capabilities.NAMES.index("CAP_CHECKPOINT_RESTORE") == 40


@pytest.mark.parametrize("name", ["CAP_NET_RAW", "NET_RAW", "net_raw", "cap_net_raw"])
def test_names_in_any_form(name: str) -> None:
    assert capabilities.mask_of([name]) == 1 << 13


def test_all_is_what_the_kernel_knows() -> None:
    assert capabilities.mask_of(["ALL"]) == (1 << (capabilities.last_cap() + 1)) - 1


def test_unknown_is_named() -> None:
    with pytest.raises(ValueError, match="'CAP_FLY'"):
        capabilities.mask_of(["CHOWN", "CAP_FLY"])


def test_round_trip_in_kernel_order() -> None:
    assert capabilities.names_of(capabilities.mask_of(["SYS_ADMIN", "CHOWN"])) == [
        "CAP_CHOWN",
        "CAP_SYS_ADMIN",
    ]
