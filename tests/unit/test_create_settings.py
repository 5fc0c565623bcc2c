"""The machine's settings under what a container asks for itself."""

from __future__ import annotations

from runtime.config import Config
from runtime.containers.create import with_settings
from runtime.model.container import ContainerConfig

SETTINGS = Config(
    log_opts={"max-size": "10m", "max-file": "3"},
    default_ulimits=("nofile=100:200", "nproc=50"),
    default_shm_size=1 << 20,
    shutdown_timeout=3,
)


def test_settings_hold_where_the_container_says_nothing() -> None:
    config = with_settings(ContainerConfig(image="x"), SETTINGS)
    assert config.log_options == {"max-size": "10m", "max-file": "3"}
    assert config.ulimits == ("nofile=100:200", "nproc=50")
    assert (config.shm_size, config.stop_timeout) == (1 << 20, 3)


def test_the_containers_own_words_win() -> None:
    own = ContainerConfig(
        image="x", log_options={"max-file": "9"}, ulimits=("nofile=7",), shm_size=2 << 20, stop_timeout=99
    )
    config = with_settings(own, SETTINGS)
    assert config.log_options == {"max-size": "10m", "max-file": "9"}
    assert config.ulimits == ("nofile=7", "nproc=50")
    assert (config.shm_size, config.stop_timeout) == (2 << 20, 99)
