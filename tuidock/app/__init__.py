"""The terminal interface. :func:`run` opens it; nothing is imported before."""

from __future__ import annotations

__all__ = ["run"]


def run(root: str | None = None, focus_project: str | None = None, theme: str | None = None) -> int:
    """Open the interface on a root and stay until the user quits; containers live on. Returns the exit
    code. Raises InvalidInput for wrong settings and Denied without the privilege to use the root."""
    import sys
    import time

    from runtime.engine import Engine
    from tuidock.app.app import Tuidock

    engine = Engine(root)
    app = Tuidock(engine, focus_project=focus_project, theme=theme)
    code = app.run()
    deadline = time.monotonic() + 15
    waiting = [thread for thread in app.busy if thread.is_alive()]
    if waiting:
        print("finishing what was begun (ctrl-c leaves at once) ...", file=sys.stderr)
        try:
            for thread in waiting:
                thread.join(max(deadline - time.monotonic(), 0))
        except KeyboardInterrupt:
            pass
    engine.close()
    return code or 0 if app.return_code == 0 else app.return_code or 1
