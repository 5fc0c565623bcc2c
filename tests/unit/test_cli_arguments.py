"""How docker's users write options (spf13/pflag), as click gets them."""

from __future__ import annotations

import click
import pytest

from tuidock.cli.arguments import plain_arguments

PARAMS: list[click.Parameter] = [
    click.Option(["-i", "--interactive"], is_flag=True),
    click.Option(["-t", "--tty"], is_flag=True),
    click.Option(["-e", "--env"], multiple=True),
    click.Option(["-n"]),
    click.Option(["-q"], is_flag=True),
    click.Option(["--rm"], is_flag=True),
    click.Option(["--sig-proxy/--no-sig-proxy"], default=True),
    click.Option(["-v"], count=True),
]


@pytest.mark.parametrize(
    ("given", "plain"),
    [
        ("-i", "--interactive"),
        ("-it", "--interactive --tty"),
        ("-e A=b", "--env A=b"),
        ("-eA=b", "--env A=b"),
        ("-e=A=b", "--env A=b"),
        ("-iteA=b", "--interactive --tty --env A=b"),
        ("-ite A=b", "--interactive --tty --env A=b"),
        ("-e -i", "--env -i"),
        ("-e --", "--env --"),
        ("-n 5 -q", "-n 5 -q"),
        ("-n5", "-n 5"),
        ("-vv", "-v -v"),
        ("--env=A=b", "--env=A=b"),
        ("--env -i", "--env -i"),
        ("--rm=true", "--rm"),
        ("--rm=false", ""),
        ("--rm=0", ""),
        ("-i=false", ""),
        ("-ti=true", "--tty --interactive"),
        ("--sig-proxy=false", "--no-sig-proxy"),
        # Left to click, which says what is wrong.
        ("-e", "-e"),
        ("-ie", "-ie"),
        ("-Z", "-Z"),
        ("-iZ", "-iZ"),
        ("--nothing=1", "--nothing=1"),
        # Where options end.
        ("image -it", "image -it"),
        ("-i -- -t", "--interactive -- -t"),
        ("- -i", "- -i"),
    ],
)
def test_options_get_their_long_names(given: str, plain: str) -> None:
    assert plain_arguments(given.split(), PARAMS, interspersed=False) == plain.split()


def test_options_after_arguments_where_they_may_be() -> None:
    assert plain_arguments(["a", "-it", "-", "--", "-i"], PARAMS, interspersed=True) == [
        "a", "--interactive", "--tty", "-", "--", "-i",
    ]  # fmt: skip


@pytest.mark.parametrize("wrong", ["--rm=perhaps", "-i=2", "-ti="])
def test_a_switch_is_true_or_false(wrong: str) -> None:
    with pytest.raises(click.UsageError, match="it is true or false"):
        plain_arguments([wrong], PARAMS, interspersed=False)


def test_no_letter_makes_click_guess() -> None:
    """What this is for: an unknown name is compared with all known ones."""
    from unittest.mock import patch

    command = click.Command("run", params=PARAMS)
    arguments = plain_arguments(["-ite", "A=b", "-e", "C"], PARAMS, interspersed=True)
    with patch("difflib.get_close_matches", side_effect=AssertionError("compared with all names")):
        context = command.make_context("run", [*arguments], allow_extra_args=True)
    assert context.params["env"] == ("A=b", "C")
    assert context.params["tty"] is True
