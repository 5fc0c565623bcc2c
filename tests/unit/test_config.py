"""Settings: found, merged, checked by name."""

from __future__ import annotations

from pathlib import Path

import pytest

from runtime.config import AddressPool, Config, load
from runtime.errors import InvalidInput


def settings(tmp_path: Path, text: str) -> Config:
    path = tmp_path / "config.yaml"
    path.write_text(text)
    return load({"TUIDOCK_CONFIG": str(path)})


def test_nothing_is_set_without_a_file(tmp_path: Path) -> None:
    assert load({"XDG_CONFIG_HOME": str(tmp_path)}) == Config()


def test_dockers_key_names(tmp_path: Path) -> None:
    found = settings(
        tmp_path,
        "dns: [1.1.1.1]\n"
        "registry-mirrors: [http://localhost:5000]\n"
        "insecure-registries: [localhost:5000]\n"
        "default-address-pools: [{base: 10.9.0.0/16, size: 24}]\n"
        "log-opts: {max-size: 10m, max-file: 3}\n",
    )
    assert found.dns == ("1.1.1.1",)
    assert found.default_address_pools == (AddressPool("10.9.0.0/16", 24),)
    assert found.log_opts == {"max-size": "10m", "max-file": "3"}


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("registry-mirror: []", "registry-mirrors"),
        ("foo: 1", "foo"),
        ("dns: 1.1.1.1", "dns"),
        ("dns: [one]", "dns"),
        ("mtu: fast", "mtu"),
        ("mtu: -1", "mtu"),
        ("bip: [1]", "bip"),
        ("default-address-pools: [{base: 10.9.0.0/16, size: 8}]", "default-address-pools"),
        ("default-address-pools: [{base: nonsense, size: 24}]", "default-address-pools"),
        ("log-opts: [1]", "log-opts"),
        ("- a list", "mapping"),
        ("a: [", "config.yaml"),
    ],
)
def test_wrong_settings_are_named(tmp_path: Path, text: str, named: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        settings(tmp_path, text)
    assert named in f"{refused.value.message} {refused.value.hint}"
    assert "config.yaml" in refused.value.message


def test_a_named_file_must_exist() -> None:
    with pytest.raises(InvalidInput):
        load({"TUIDOCK_CONFIG": "/nonexistent/config.yaml"})
