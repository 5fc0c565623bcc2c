"""Modules that are loaded when first used: what imports them sees the module itself."""

from __future__ import annotations

import inspect
import subprocess
import sys
import textwrap

from runtime.later import postpone

PREPARED = "from runtime.later import postpone, postpone_usual\nimport sys\n"


def run(code: str) -> str:
    """In a process of its own: pytest has loaded everything."""
    done = subprocess.run(
        [sys.executable, "-c", PREPARED + textwrap.dedent(code)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_a_module_is_loaded_by_its_first_use() -> None:
    assert run("""
        postpone("colorsys")
        import colorsys
        before = hasattr(sys.modules["colorsys"], "__file__")
        made = colorsys.rgb_to_hsv(1, 0, 0)
        import colorsys as again
        print(before, made, hasattr(again, "__file__"), again is not colorsys)
    """) == "False (0.0, 1.0, 1) True True"  # fmt: skip


def test_a_name_out_of_it_is_its_own() -> None:
    assert run("""
        postpone("colorsys")
        from colorsys import rgb_to_hsv
        print(rgb_to_hsv is sys.modules["colorsys"].rgb_to_hsv)
    """) == "True"  # fmt: skip


def test_what_it_has_not_is_said_in_its_own_words() -> None:
    assert run("""
        postpone("colorsys")
        import colorsys
        try:
            colorsys.nothing
        except AttributeError as error:
            print(error)
    """) == "module 'colorsys' has no attribute 'nothing'"  # fmt: skip


def test_threads_get_one_module() -> None:
    assert run("""
        import threading
        sys.setswitchinterval(1e-6)
        postpone("zipfile")
        import zipfile
        start, found = threading.Barrier(8), []
        def use():
            start.wait()
            found.append(zipfile.ZipFile)
        threads = [threading.Thread(target=use) for _ in range(8)]
        for thread in threads: thread.start()
        for thread in threads: thread.join()
        print(len(found), len(set(found)), found[0] is sys.modules["zipfile"].ZipFile)
    """) == "8 1 True"  # fmt: skip


def test_the_usual_ones_work_all_the_same() -> None:
    assert run("""
        postpone_usual()
        import click, dataclasses, inspect, platform, ipaddress, uuid, gettext
        assert "ast" not in sys.modules and "locale" not in sys.modules
        assert inspect.cleandoc("  one\\tline ") == "one   line "
        assert "ast" not in sys.modules
        assert inspect.cleandoc(" two\\n   lines") == "two\\nlines"
        @dataclasses.dataclass
        class Undocumented:
            field: int = 1
        assert Undocumented.__doc__ == "Undocumented(field: int = 1)", Undocumented.__doc__
        assert gettext.gettext("Usage:") == "Usage:" and gettext.ngettext("a", "b", 2) == "b"
        assert platform.machine() and str(ipaddress.ip_address("::1")) == "::1"
        print("fine")
    """) == "fine"  # fmt: skip


def test_a_loaded_module_stays() -> None:
    postpone("inspect", cleandoc=None)
    assert sys.modules["inspect"] is inspect
    assert inspect.cleandoc is not None
