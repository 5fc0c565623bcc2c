"""Carries actions out: asks where asking is due, runs each verb in a thread, and tells how it went."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from runtime.errors import InvalidInput, NotFound
from tuidock.app.actions import Action, Subject, project_of
from tuidock.app.messages import Begun, Done, Failed, Stepped
from tuidock.app.screens.confirm import Confirm

if TYPE_CHECKING:
    from runtime.engine import Engine
    from runtime.model.container import Container
    from runtime.model.event import Progress
    from tuidock.app.app import Tuidock

__all__ = ["THREADS", "Acting"]

THREADS = 48
"""Verbs that may run at the same time; a stop waits ten seconds, and a kill must not wait for it."""


class Acting:
    """One per app. ``act`` returns at once; :class:`Done` or :class:`Failed` comes for each row.

    Actions on one row happen one after the other, in the order of the keys: ``s`` ``s`` stops and then
    starts. Urgent ones do not wait.
    """

    def __init__(self, app: Tuidock, engine: Engine) -> None:
        self._app = app
        self._engine = engine
        self._turns: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)

    def prune(self, what: str) -> None:
        """Remove what nobody uses, after a question. Raises InvalidInput for anything but a kind of thing."""
        calls: dict[str, Callable[[], str]] = {
            "images": lambda: _pruned(len(self._engine.images.prune()[0]), "images"),
            "networks": lambda: _pruned(len(self._engine.networks.prune()), "networks"),
            "volumes": lambda: _pruned(len(self._engine.volumes.prune()[0]), "volumes"),
        }
        if what not in calls:
            raise InvalidInput("prune: what?", hint="prune images, prune networks or prune volumes")

        def answered(yes: bool | None) -> None:
            if yes:
                self.call(f"cannot prune {what}", calls[what])

        self._app.push_screen(Confirm(f"Remove all unused {what}?"), answered)

    def pull(self, words: Sequence[str]) -> None:
        """Bring an image from its registry, telling how far it is. Raises InvalidInput."""
        if len(words) != 1 or words[0].startswith("-"):
            raise InvalidInput("pull: which image?", hint="pull NAME[:TAG]")
        name, post, engine = words[0], self._app.post_message, self._engine

        def progress(step: Progress) -> None:
            if step.current is not None and step.total:
                done = 100 * step.current // step.total
                post(Stepped(f"Pull {name}: {step.id} {step.stage.lower()} {done}%"))

        def work() -> str:
            [pulled] = engine.images.pull(name, progress=progress)
            return f"pulled {name}" if pulled.changed else f"{name} is up to date"

        self.call(f"cannot pull {name}", work)

    def act(self, action: Action, subjects: Sequence[Subject]) -> None:
        """Do it to all of them that it applies to; says why to none."""
        able = [subject for subject in subjects if not (action.refuse(subject))]
        if not able:
            reason = action.refuse(subjects[0]) if subjects else "nothing is selected"
            self._app.tell(f"{action.title}: {reason}", "warn")
            return
        if not action.dangerous:
            self._start(action, able)
            return
        names = able[0].name if len(able) == 1 else f"these {len(able)}"
        listed = "" if len(able) == 1 else ", ".join(subject.name for subject in able[:12])

        def answered(yes: bool | None) -> None:
            if yes:
                self._start(action, able)

        self._app.push_screen(
            Confirm(action.question.format(name=names, project=project_of(able[0])), listed), answered
        )

    def _start(self, action: Action, subjects: Sequence[Subject]) -> None:
        for subject in subjects:
            self._app.working(self._keys(subject), action.doing(subject))
            self._app.in_thread(self._worker(action, subject))

    def _keys(self, subject: Subject) -> tuple[str, ...]:
        """The rows that show that something is being done: a service's containers too."""
        if subject.pane != "services":
            return (subject.key,)
        project, _, service = subject.key.partition("/")
        return (subject.key, *(each.id for each in self._app.board.of_service(project, service)))

    def _worker(self, action: Action, subject: Subject) -> Callable[[], None]:
        keys = self._keys(subject)
        post = self._app.post_message
        call = action.calls[subject.pane]

        def progress(step: Progress) -> None:
            if step.line is None and step.stage:
                post(Stepped(f"{action.title} {subject.name}: {step.stage}"))

        turn = threading.Lock() if action.urgent else self._turns[subject.key]

        def work() -> None:
            waited = not turn.acquire(blocking=False)
            if waited:
                turn.acquire()
                post(Begun(keys, action.doing(self._renewed(subject))))
            try:
                text = call(self._engine, subject, progress)
            except Exception as error:  # every failure is shown, with its reason
                what = f"cannot {action.title.lower()} {subject.name}"
                post(Failed(keys, what, error, self._fresh(keys)))
            else:
                post(Done(keys, text, self._fresh(keys)))
            finally:
                turn.release()

        return work

    def _renewed(self, subject: Subject) -> Subject:
        """The row as it is now, after the action that we waited for."""
        if subject.pane != "containers":
            return subject
        try:
            return replace(subject, item=self._engine.containers.get(subject.key))
        except Exception:  # the action itself will tell
            return subject

    def _fresh(self, keys: Sequence[str]) -> list[Container]:
        """The containers among these rows as they are now, so that the screen need not wait for events."""
        found = []
        for key in keys:
            try:
                if key in self._app.board.by_id:
                    found.append(self._engine.containers.get(key))
            except NotFound:
                continue
            except Exception:  # the observer, which reads the same, reports it
                break
        return found

    def call(self, what: str, work: Callable[[], str]) -> None:
        """Any other work on the engine, in a thread; ``what`` begins the line that tells of a failure."""
        post = self._app.post_message

        def run() -> None:
            try:
                text = work()
            except Exception as error:  # every failure is shown, with its reason
                post(Failed((), what, error))
            else:
                post(Done((), text))

        self._app.in_thread(run)


def _pruned(count: int, what: str) -> str:
    return f"removed {count} unused {what}"
