"""What a stage has become so far: its layers, its configuration, its variables, its history."""

from __future__ import annotations

import copy
from dataclasses import replace

from runtime.images.oci import host_architecture
from runtime.model.image import HistoryEntry, Image, ImageConfig

__all__ = ["DEFAULT_PATH", "DEFAULT_SHELL", "StageState", "platform_arguments"]

DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
DEFAULT_SHELL = ("/bin/sh", "-c")
PROXY_ARGUMENTS = frozenset(
    name
    for upper in ("HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "NO_PROXY", "ALL_PROXY")
    for name in (upper, upper.lower())
)
_COMMENT = "buildkit.dockerfile.v0"


def platform_arguments(target: str) -> dict[str, str]:
    """The predefined global arguments, TARGET... and BUILD...; there is only this machine's platform."""
    arch = host_architecture()
    values = {"PLATFORM": f"linux/{arch}", "OS": "linux", "ARCH": arch, "VARIANT": ""}
    made = {f"{side}{name}": value for side in ("TARGET", "BUILD") for name, value in values.items()}
    return {**made, "TARGETSTAGE": target or "default"}


class StageState:
    """Changed by one instruction after the other. ``args`` holds the declared ones, None without a value.
    ``created_at`` (nanoseconds) is when its newest layer was made."""

    def __init__(
        self,
        *,
        layers: list[str] | None = None,
        config: ImageConfig | None = None,
        env: dict[str, str] | None = None,
        history: list[HistoryEntry] | None = None,
        author: str = "",
        created_at: int = 0,
    ) -> None:
        self.layers = layers or []
        self.config = config or ImageConfig()
        self.env = env or {}
        self.args: dict[str, str | None] = {}
        self.history = history or []
        self.author = author
        self.created_at = created_at
        self.cmd_is_own = False
        """CMD was set in this stage; an inherited one goes when ENTRYPOINT is set."""

    @classmethod
    def scratch(cls) -> StageState:
        return cls(config=ImageConfig(working_dir="/"), env={"PATH": DEFAULT_PATH})

    @classmethod
    def of_image(cls, image: Image) -> StageState:
        env = dict(item.partition("=")[::2] for item in image.config.env)
        env.setdefault("PATH", DEFAULT_PATH)
        return cls(
            layers=list(image.layers),
            config=replace(image.config, on_build=(), env=()),
            env=env,
            history=[replace(entry, size=0) for entry in image.history],
            author=image.author,
            created_at=image.created_at,
        )

    def child(self) -> StageState:
        """For a stage built on this one."""
        made = copy.deepcopy(self)
        made.cmd_is_own = False
        return made

    def set(self, **changes: object) -> None:
        """Fields of the image's configuration."""
        self.config = replace(self.config, **changes)  # type: ignore[arg-type]  # names are checked by replace

    @property
    def shell(self) -> tuple[str, ...]:
        return self.config.shell or DEFAULT_SHELL

    @property
    def working_dir(self) -> str:
        return self.config.working_dir or "/"

    def variables(self) -> dict[str, str]:
        """What substitution sees: ENV wins over ARG."""
        given = {name: value for name, value in self.args.items() if value is not None}
        return {**given, **self.env}

    def image_config(self) -> ImageConfig:
        return replace(self.config, env=tuple(f"{name}={value}" for name, value in self.env.items()))

    def record(self, created_by: str, *, layer: str | None = None, created_at: int | None = None) -> None:
        """A history row; with ``layer`` the instruction made that layer."""
        if created_at is not None:
            self.created_at = max(self.created_at, created_at)
        if layer is not None:
            self.layers.append(layer)
        self.history.append(
            HistoryEntry(
                created_at=created_at if created_at is not None else self.created_at,
                created_by=created_by,
                comment=_COMMENT,
                empty_layer=layer is None,
            )
        )
