"""One key, one verb; the row tells at once, a failure tells why."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from runtime.errors import Conflict, InvalidInput
from runtime.model.container import ContainerStatus, PortBinding
from tests.tui.fake_engine import FakeWorld, container

Open = Callable[..., Any]


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
async def test_s_stops_and_starts(open_screen: Open, size: tuple[int, int]) -> None:
    async with open_screen(size=size) as screen:
        await screen.press("s")
        assert await screen.until(lambda: "exited 0" in screen.line("demo-web-1 ")) < 1
        assert "2/3 up" in screen.text
        await screen.press("s")
        assert await screen.until(lambda: "running" in screen.line("demo-web-1 ")) < 1
        assert screen.world.calls == [("stop", "demo-web-1"), ("start", "demo-web-1")]


async def test_the_row_tells_at_once_what_is_being_done(open_screen: Open) -> None:
    async with open_screen() as screen:
        screen.world.delay = 1.0
        await screen.press("s")
        assert await screen.until(lambda: "stopping…" in screen.line("demo-web-1 ")) < 0.5
        await screen.until(lambda: "exited 0" in screen.line("demo-web-1 "))
        assert "stopping…" not in screen.text


async def test_kill_asks_nothing_and_waits_for_nothing(open_screen: Open) -> None:
    async with open_screen() as screen:
        await screen.press("ctrl+k")
        await screen.until(lambda: "exited 137" in screen.line("demo-web-1 "))
        screen.world.delay = 2.0
        await screen.press("j", "s")
        await screen.pilot.pause(0.1)
        screen.world.delay = 0.0
        await screen.press("j", "ctrl+k")
        assert await screen.until(lambda: "exited 137" in screen.line("demo-web-3 ")) < 1
        assert "stopping…" in screen.line("demo-web-2 ")


async def test_a_failure_tells_why_and_what_to_do(open_screen: Open) -> None:
    async with open_screen(size=(80, 24)) as screen:
        error = Conflict("port 4000 is taken by nginx", hint="stop it, or publish another port")
        screen.world.failures["stop", "demo-web-1"] = error
        await screen.press("s")
        await screen.shows("port 4000 is taken")
        assert "publish another port" in screen.text
        assert "port 4000 is taken" in screen.app.status.message
        assert "● running" in screen.line("demo-web-1 ")


async def test_an_error_that_nobody_foresaw_is_shown_too(open_screen: Open) -> None:
    async with open_screen() as screen:
        screen.world.failures["restart", "demo-web-1"] = ZeroDivisionError("oops")
        await screen.press("r")
        await screen.shows("oops")
        await screen.press("j")
        assert screen.app.pane("containers").current is not None


async def test_remove_asks_and_enter_means_no(open_screen: Open) -> None:
    async with open_screen() as screen:
        await screen.press("d")
        await screen.shows("Remove demo-web-1?")
        await screen.press("enter")
        assert "Remove demo-web-1?" not in screen.text
        assert screen.called("remove") == []
        await screen.press("d", "y")
        await screen.until(lambda: not screen.line("demo-web-1 ● "))
        assert screen.called("remove") == ["demo-web-1"]


async def test_the_cursor_stays_on_its_row_when_others_go(open_screen: Open) -> None:
    async with open_screen() as screen:
        await screen.press("j")
        pane = screen.app.pane("containers")
        key = pane.current.key
        screen.app.engine.containers.remove("broken")
        await screen.until(lambda: not screen.line("broken"))
        assert pane.current.key == key


async def test_marks_and_bulk(open_screen: Open) -> None:
    async with open_screen() as screen:
        await screen.press("space", "space", "b")
        await screen.shows("2 marked")
        await screen.press("ctrl+k")
        await screen.until(lambda: sorted(screen.called("kill")) == ["demo-web-1", "demo-web-2"])
        assert screen.app.pane("containers").marks == set()
        await screen.press("g", "V", "j", "j")
        assert len(screen.app.pane("containers").marks) == 3
        await screen.press("escape")
        assert screen.app.pane("containers").marks == set()


async def test_what_does_not_apply_says_so(open_screen: Open) -> None:
    async with open_screen() as screen:
        screen.app.pane("containers").select(screen.world.find("oneshot").id)
        await screen.press("ctrl+k")
        await screen.shows("oneshot is not running")
        await screen.press("U")
        await screen.shows("oneshot belongs to no project")
        await screen.press("w")
        await screen.shows("oneshot has no published port")
        await screen.press("E")
        await screen.shows("press s to start it")
        assert screen.world.calls == []


async def test_services_scale_stop_and_go_down(open_screen: Open) -> None:
    async with open_screen() as screen:
        await screen.press("1", "greater_than_sign")
        await screen.until(lambda: screen.called("scale") == ["demo/web=4"])
        await screen.press("s")
        await screen.shows("0/3 up")
        assert sorted(screen.called("stop")) == ["demo-web-1", "demo-web-2", "demo-web-3"]
        await screen.press("D")
        await screen.shows("networks of the project")
        await screen.press("y")
        await screen.until(lambda: screen.called("down") == ["demo"])
        await screen.until(
            lambda: "demo/web" not in screen.text.replace("7 demo/web", "").replace("· demo/web", "")
        )


async def test_up_without_its_compose_file_says_so(open_screen: Open) -> None:
    async with open_screen() as screen:
        await screen.press("u")
        await screen.shows("the compose file of demo does not exist")


async def test_images_are_removed_by_reference(open_screen: Open) -> None:
    async with open_screen() as screen:
        error = Conflict("image is used by container demo-web-1")
        screen.world.failures["rmi", "base:latest"] = error
        await screen.press("3", "d", "y")
        await screen.shows("used by container")
        await screen.press("j", "d", "y")
        await screen.until(lambda: len(screen.app.pane("images").rows) == 1)
        assert screen.called("rmi") == ["base:latest", "demo-web:latest"]


async def test_events_of_other_processes_are_followed(open_screen: Open, world: FakeWorld) -> None:
    async with open_screen() as screen:
        made = container("from-elsewhere")
        world.put(made, "start")
        assert await screen.shows("from-elsewhere") < 1
        screen.app.engine.containers.kill("from-elsewhere")
        assert await screen.until(lambda: "exited 137" in screen.line("from-elsewhere")) < 1
        screen.app.engine.containers.remove("from-elsewhere")
        assert await screen.until(lambda: not screen.line("from-elsewhere")) < 1


async def test_an_unreadable_engine_is_reported_and_comes_back(open_screen: Open, world: FakeWorld) -> None:
    async with open_screen() as screen:
        images = screen.app.engine.images
        works = images.list

        def broken(*, all: bool = False) -> list[Any]:
            raise InvalidInput("the store is damaged")

        images.list = broken
        world.tell("image", "load", "x")
        await screen.shows("the store is damaged")
        images.list = works
        await screen.shows("works again")


async def test_command_line(open_screen: Open) -> None:
    async with open_screen() as screen:
        await screen.press("colon", *"run --name mine base", "enter")
        await screen.until(lambda: "running" in screen.line("mine"))
        await screen.press("colon", *"run nothing", "enter")
        await screen.shows("No such image: nothing")
        await screen.press("colon", *"scale web=5", "enter")
        await screen.until(lambda: screen.called("scale") == ["demo/web=5"])
        await screen.press("colon", *"scale db=5", "enter")
        await screen.shows("there is no service 'db'")
        await screen.press("colon", *"frobnicate", "enter")
        await screen.shows("there is no command 'frobnicate'")
        await screen.press("colon", *"theme daylight", "enter")
        assert screen.app.theme == "daylight"


async def test_new_container_of_an_image(open_screen: Open) -> None:
    async with open_screen() as screen:
        await screen.press("3", "n")
        await screen.shows("run base:latest")
        await screen.press("enter")
        await screen.until(lambda: "running" in screen.line("fresh_one"))


async def test_quit_leaves_containers_alone(open_screen: Open, world: FakeWorld) -> None:
    async with open_screen() as screen:
        await screen.press("q")
        assert not screen.app.is_running or screen.app._exit
    assert world.calls == []


def test_port_addresses() -> None:
    from tuidock.app.visiting import address

    assert address((PortBinding(80, "tcp", "0.0.0.0", 4000),)) == "http://127.0.0.1:4000/"
    assert address((PortBinding(443, "tcp", "10.0.0.1", 8443),)) == "https://10.0.0.1:8443/"
    assert address((PortBinding(80, "tcp", "::1", 80),)) == "http://[::1]:80/"
    assert address((PortBinding(53, "udp", "0.0.0.0", 53), PortBinding(80))) == ""


async def test_300_containers(open_screen: Open, world: FakeWorld) -> None:
    for number in range(300):
        status = ContainerStatus.RUNNING if number % 3 else ContainerStatus.EXITED
        made = container(f"many-{number:03}", status=status)
        world.containers[made.id] = made
    async with open_screen() as screen:
        await screen.until(lambda: len(screen.app.pane("containers").rows) == 306)
        await screen.press("G")
        begin = time.thread_time()
        for _ in range(40):
            await screen.pilot.press("k")
        moving = (time.thread_time() - begin) / 40
        begin = time.thread_time()
        for _ in range(10):
            screen.app._redraw()
        redrawing = (time.thread_time() - begin) / 10
        assert moving < 0.15, "seconds of this thread's time for a key"
        assert redrawing < 0.08, "seconds of this thread's time for all rows"
        await screen.press("slash", *"many-299", "enter")
        await screen.until(lambda: len(screen.app.pane("containers").rows) == 1)


async def test_a_second_key_waits_for_the_first(open_screen: Open) -> None:
    async with open_screen() as screen:
        screen.world.delay = 0.5
        await screen.press("s", "s")
        await screen.shows("stopping…")
        await screen.shows("starting…")
        await screen.until(lambda: "● running" in screen.line("demo-web-1 "))
        assert screen.world.calls == [("stop", "demo-web-1"), ("start", "demo-web-1")]
