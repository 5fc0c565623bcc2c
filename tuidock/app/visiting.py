"""Leaving the interface for a moment: attach, a shell inside, a browser."""

from __future__ import annotations

import webbrowser
from collections.abc import Callable
from typing import TYPE_CHECKING

from textual.app import SuspendNotSupported

from runtime.errors import CommandNotFound, Conflict, Unavailable
from tuidock.app.terminal import bridge

if TYPE_CHECKING:
    from runtime.containers.session import Session
    from runtime.engine import Engine
    from runtime.model.container import Container, PortBinding
    from tuidock.app.app import Tuidock

__all__ = ["SHELL", "Visiting", "address"]

SHELL = ("/bin/sh", "-c", "if command -v bash >/dev/null 2>&1; then exec bash; else exec sh; fi")
"""A shell that exists: the better one of those that are there."""


def address(ports: tuple[PortBinding, ...]) -> str:
    """The address in a browser of the first published TCP port, or ""."""
    for binding in ports:
        if binding.protocol == "tcp" and binding.host_port:
            everywhere = binding.host_ip in ("", "0.0.0.0", "::")
            host = "127.0.0.1" if everywhere else binding.host_ip
            scheme = "https" if binding.container_port in (443, 8443) else "http"
            return f"{scheme}://{f'[{host}]' if ':' in host else host}:{binding.host_port}/"
    return ""


class Visiting:
    """One per app. The interface is suspended, and its event loop stands still, until the user is back."""

    def __init__(self, app: Tuidock, engine: Engine) -> None:
        self._app = app
        self._engine = engine

    def attach(self, container: Container) -> None:
        def open_session() -> Session:
            return self._engine.containers.attach(container.id, stdin=container.config.open_stdin)

        self._visit(f"attached to {container.name}; ctrl-p ctrl-q leaves it running", container, open_session)

    def shell(self, container: Container) -> None:
        def open_session() -> Session:
            try:
                session = self._engine.containers.exec(
                    container.id, SHELL, tty=True, stdin=True, env=("TERM=xterm-256color",)
                )
            except CommandNotFound as error:
                raise CommandNotFound(
                    f"{container.name} has no shell",
                    hint="its image holds only the program",
                    subject=container.name,
                ) from error
            assert session is not None
            return session

        self._visit(f"a shell in {container.name}; exit or ctrl-d comes back", container, open_session)

    def _visit(self, banner: str, container: Container, open_session: Callable[[], Session]) -> None:
        app = self._app
        try:
            if not container.state.status.alive:
                raise Conflict(f"{container.name} is not running", hint="press s to start it")
            session = open_session()
        except Exception as error:  # shown to the user, with its reason
            app.complain(f"cannot enter {container.name}", error)
            return
        app.observer.pause(True)
        try:
            with app.suspend():
                code = bridge(session, banner)
        except SuspendNotSupported:
            session.detach()
            app.complain(f"cannot enter {container.name}", Unavailable("this terminal cannot be handed over"))
            return
        finally:
            app.observer.pause(False)
        app.tell(
            f"left {container.name}, which runs on"
            if code is None
            else f"back from {container.name} ({code})",
            "",
        )

    def browse(self, ports: tuple[PortBinding, ...], name: str) -> None:
        """Open the published port; where there is no browser, its address is copied."""
        url = address(ports)
        if not url:
            self._app.tell(f"{name} has no published port", "warn")
            return

        def go() -> str:
            try:
                opened = webbrowser.get().name not in _TEXT_BROWSERS and webbrowser.open(url)
            except webbrowser.Error:
                opened = False
            if opened:
                return f"opened {url}"
            self._app.call_later(self._app.copy_to_clipboard, url)
            return f"no browser here; {url} was copied"

        self._app.acting.call(f"cannot open {url}", go)


_TEXT_BROWSERS = ("www-browser", "links", "elinks", "lynx", "w3m")
"""Those would draw over the interface."""
