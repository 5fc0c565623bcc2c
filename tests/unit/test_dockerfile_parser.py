"""Instructions, row by row: what each means and what is refused with which words."""

from __future__ import annotations

import pytest

from runtime.build import instructions as ast
from runtime.build.durations import parse_duration
from runtime.build.failure import DockerfileError
from runtime.build.instructions import Command, Dockerfile, Instruction
from runtime.build.lexer import Source
from runtime.build.parser import KEYWORDS, parse, parse_trigger


def dockerfile(text: str) -> Dockerfile:
    return parse(Source("Dockerfile", text))


def one(line: str) -> Instruction:
    """The only instruction after FROM."""
    (stage,) = dockerfile(f"FROM scratch\n{line}\n").stages
    (instruction,) = stage.instructions
    return instruction


def shell(text: str) -> Command:
    return Command((text,), True)


def exec_(*argv: str) -> Command:
    return Command(argv, False)


SECOND = 10**9
MINUTE = 60 * SECOND

ROWS: list[tuple[str, dict[str, object]]] = [
    # ARG
    ("ARG a", {"pairs": (("a", None),)}),
    ("ARG a=1", {"pairs": (("a", "1"),)}),
    ("ARG a=", {"pairs": (("a", ""),)}),
    ("ARG a=1 b c='x y'", {"pairs": (("a", "1"), ("b", None), ("c", "'x y'"))}),
    ('ARG a="x=y"', {"pairs": (("a", '"x=y"'),)}),
    ("ARG a=${b:-c d}", {"pairs": (("a", "${b:-c"), ("d}", None))}),
    # ENV
    ("ENV a=1", {"pairs": (("a", "1"),), "legacy": False}),
    ("ENV a=1 b=2", {"pairs": (("a", "1"), ("b", "2"))}),
    ("ENV a=", {"pairs": (("a", ""),)}),
    ("ENV a b", {"pairs": (("a", "b"),), "legacy": True}),
    ("ENV a b c  d", {"pairs": (("a", "b c  d"),), "legacy": True}),
    ("ENV a b=c", {"pairs": (("a", "b=c"),), "legacy": True}),
    ('ENV a="b c"', {"pairs": (("a", '"b c"'),)}),
    ("ENV a='b c' d=e", {"pairs": (("a", "'b c'"), ("d", "e"))}),
    ("ENV a=b\\ c d=e", {"pairs": (("a", "b\\ c"), ("d", "e"))}),
    ("ENV a=b=c", {"pairs": (("a", "b=c"),)}),
    ("ENV a=1 \\\n b=2", {"pairs": (("a", "1"), ("b", "2"))}),
    ("env a=1", {"pairs": (("a", "1"),)}),
    ('ENV a="x \\" y" b=2', {"pairs": (("a", '"x \\" y"'), ("b", "2"))}),
    ("ENV\ta=1", {"pairs": (("a", "1"),)}),
    # LABEL
    ("LABEL a=1", {"pairs": (("a", "1"),)}),
    ('LABEL "a b"="c d"', {"pairs": (('"a b"', '"c d"'),)}),
    ("LABEL a b c", {"pairs": (("a", "b c"),), "legacy": True}),
    ("LABEL com.example.x=1 com.example.y=2", {"pairs": (("com.example.x", "1"), ("com.example.y", "2"))}),
    # COPY
    ("COPY a /b", {"sources": ("a",), "destination": "/b"}),
    ("COPY a b /c/", {"sources": ("a", "b"), "destination": "/c/"}),
    ('COPY ["a b", "/c d"]', {"sources": ("a b",), "destination": "/c d"}),
    ('COPY ["a", "b", "/c/"]', {"sources": ("a", "b"), "destination": "/c/"}),
    ("COPY --from=x a /b", {"from_": "x", "sources": ("a",)}),
    ("COPY --from=0 a /b", {"from_": "0"}),
    ("COPY --chown=1:2 a /b", {"chown": "1:2"}),
    ("COPY --chmod=755 a /b", {"chmod": "755"}),
    ("COPY --link a /b", {"link": True}),
    ("COPY --link=false a /b", {"link": False}),
    ("COPY --link=true a /b", {"link": True}),
    ("COPY --parents a /b", {"parents": True}),
    ("COPY --exclude=*.a --exclude=*.b a /b", {"exclude": ("*.a", "*.b")}),
    ("COPY --from=x --chown=u:g --chmod=0644 a b /c/", {"from_": "x", "chown": "u:g", "chmod": "0644"}),
    ('COPY --from=x ["a", "/b"]', {"from_": "x", "sources": ("a",)}),
    ("COPY --chown='u:g' a /b", {"chown": "u:g"}),
    ("COPY [a /b", {"sources": ("[a",), "destination": "/b"}),
    ("COPY <<a.txt /x\nhi\na.txt", {"sources": (), "destination": "/x"}),
    ("COPY f <<a.txt /x/\nhi\na.txt", {"sources": ("f",), "destination": "/x/"}),
    # ADD
    ("ADD a /b", {"sources": ("a",), "destination": "/b", "unpack": None}),
    ("ADD --checksum=sha256:0 http://x/y /b", {"checksum": "sha256:0", "sources": ("http://x/y",)}),
    ("ADD --keep-git-dir=true a /b", {"keep_git_dir": True}),
    ("ADD --keep-git-dir a /b", {"keep_git_dir": True}),
    ("ADD --unpack=true a /b", {"unpack": True}),
    ("ADD --unpack=false a /b", {"unpack": False}),
    # RUN
    ("RUN a b", {"command": shell("a b")}),
    ('RUN ["a", "b c"]', {"command": exec_("a", "b c")}),
    ('RUN [ "a" ]', {"command": exec_("a")}),
    ("RUN [ -f x ]", {"command": shell("[ -f x ]")}),
    ("RUN ['a']", {"command": shell("['a']")}),
    ('RUN ["a" b', {"command": shell('["a" b')}),
    ("RUN --network=none a", {"network": "none", "command": shell("a")}),
    ("RUN --network=host a", {"network": "host"}),
    ("RUN --security=sandbox a", {"security": "sandbox"}),
    ("RUN --mount=type=cache,target=/c a", {"mounts": ("type=cache,target=/c",)}),
    ("RUN --mount=target=/a --mount=target=/b c", {"mounts": ("target=/a", "target=/b")}),
    ('RUN --mount=type=bind,source="x y",target=/z a', {"mounts": ("type=bind,source=x y,target=/z",)}),
    ("RUN -- --not-a-flag", {"command": shell("--not-a-flag")}),
    ("RUN a --flag", {"command": shell("a --flag")}),
    ("RUN a \\\n  && b", {"command": shell("a   && b")}),
    ('RUN echo "a \\" b"', {"command": shell('echo "a \\" b"')}),
    # CMD and ENTRYPOINT
    ('CMD ["python3", "app.py"]', {"command": exec_("python3", "app.py")}),
    ("CMD python3 app.py", {"command": shell("python3 app.py")}),
    ("CMD []", {"command": exec_()}),
    ("CMD", {"command": exec_()}),
    ('CMD ["a", ""]', {"command": exec_("a", "")}),
    ('CMD ["\\u00fc", "\\n"]', {"command": exec_("ü", "\n")}),
    ('ENTRYPOINT ["a"]', {"command": exec_("a")}),
    ("ENTRYPOINT exec a", {"command": shell("exec a")}),
    # the rest
    ("EXPOSE 80", {"ports": ("80",)}),
    ("EXPOSE 80/tcp 53/udp", {"ports": ("80/tcp", "53/udp")}),
    ("EXPOSE $PORT", {"ports": ("$PORT",)}),
    ("USER a", {"user": "a"}),
    ("USER a:b", {"user": "a:b"}),
    ("WORKDIR /a b", {"path": "/a b"}),
    ("WORKDIR a", {"path": "a"}),
    ("VOLUME /a", {"paths": ("/a",)}),
    ("VOLUME /a /b", {"paths": ("/a", "/b")}),
    ('VOLUME ["/a b", "/c"]', {"paths": ("/a b", "/c")}),
    ("STOPSIGNAL SIGINT", {"signal": "SIGINT"}),
    ("STOPSIGNAL 9", {"signal": "9"}),
    ('SHELL ["/bin/bash", "-c"]', {"argv": ("/bin/bash", "-c")}),
    ("MAINTAINER A B <a@b>", {"name": "A B <a@b>"}),
    ("ONBUILD RUN a b", {"trigger": "RUN a b"}),
    ("ONBUILD copy a /b", {"trigger": "copy a /b"}),
    ("ONBUILD RUN <<E\nx\nE", {"trigger": "RUN <<E\nx\nE"}),
    ("HEALTHCHECK NONE", {"command": None}),
    ("HEALTHCHECK none", {"command": None}),
    ("HEALTHCHECK CMD a b", {"command": shell("a b"), "interval": 0, "retries": 0}),
    ('HEALTHCHECK CMD ["a", "b"]', {"command": exec_("a", "b")}),
    ("HEALTHCHECK cmd a", {"command": shell("a")}),
    (
        "HEALTHCHECK --interval=5s --timeout=1m30s \\\n"
        " --start-period=500ms --start-interval=2s --retries=4 CMD a",
        {
            "interval": 5 * SECOND,
            "timeout": 90 * SECOND,
            "start_period": SECOND // 2,
            "start_interval": 2 * SECOND,
            "retries": 4,
        },
    ),
]  # fmt: skip


@pytest.mark.parametrize(("line", "expected"), ROWS)
def test_instruction(line: str, expected: dict[str, object]) -> None:
    found = one(line)
    assert {name: getattr(found, name) for name in expected} == expected


FROM_ROWS = [
    ("FROM base", ("base", "", "")),
    ("FROM base:1 AS Build", ("base:1", "Build", "")),
    ("from base as x", ("base", "x", "")),
    ("FROM --platform=linux/amd64 base", ("base", "", "linux/amd64")),
    ("FROM --platform=$BUILDPLATFORM base AS x", ("base", "x", "$BUILDPLATFORM")),
    ("FROM base@sha256:abc", ("base@sha256:abc", "", "")),
    ("FROM   base   AS   x", ("base", "x", "")),
    ("FROM host:5000/a/b:c", ("host:5000/a/b:c", "", "")),
]


@pytest.mark.parametrize(("line", "expected"), FROM_ROWS)
def test_from(line: str, expected: tuple[str, str, str]) -> None:
    base = dockerfile(line).stages[0].base
    assert (base.image, base.alias, base.platform) == expected


def test_stages_and_global_arguments() -> None:
    parsed = dockerfile("ARG a=1\nARG b\nFROM x AS One\nRUN 1\nRUN 2\nFROM one\nFROM y AS three\nRUN 3")
    assert [arg.pairs for arg in parsed.global_args] == [(("a", "1"),), (("b", None),)]
    assert [(stage.index, stage.name, len(stage.instructions)) for stage in parsed.stages] == [
        (0, "one", 2),
        (1, "", 0),
        (2, "three", 1),
    ]


def test_heredocs_are_kept() -> None:
    copy = one("COPY <<a.txt <<'b.txt' /x/\n$one\na.txt\n$two\nb.txt")
    assert isinstance(copy, ast.Copy)
    assert [(item.name, item.content, item.expand) for item in copy.heredocs] == [
        ("a.txt", "$one\n", True),
        ("b.txt", "$two\n", False),
    ]


def test_trigger_is_parsed_again() -> None:
    trigger = one("ONBUILD RUN <<E\necho a\nE")
    assert isinstance(trigger, ast.OnBuild)
    (run,) = parse_trigger(Source("x", trigger.trigger), "\\")
    assert isinstance(run, ast.Run)
    assert run.heredocs[0].content == "echo a\n"


ERRORS = [
    ("", "Dockerfile is empty"),
    ("# nothing\n", "Dockerfile is empty"),
    ("ARG a=1\n", "Dockerfile has no FROM"),
    ("RUN a\nFROM b", "Dockerfile:1: RUN comes before any FROM"),
    ("FROM", "FROM requires at least one argument"),
    ("FROM a b", "FROM requires either one or three arguments"),
    ("FROM a AS", "FROM requires either one or three arguments"),
    ("FROM a IS b", "FROM requires either one or three arguments"),
    ("FROM a AS 1b", "invalid stage name: '1b'"),
    ("FROM a AS b/c", "invalid stage name"),
    ("FROM a AS scratch", "the name is reserved"),
    ("FROM --platfrom=x a", "does not know the flag --platfrom"),
    ("FROM --platform a", "misses a value on flag: --platform"),
    ("FROM a\nRUNN b", "Dockerfile:2: unknown instruction: RUNN"),
    ("FROM a\nfoo", "unknown instruction: foo"),
    ("FROM a\nRUN", "RUN requires at least one argument"),
    ("FROM a\nRUN --mount=type=cache,target=/x", "RUN requires at least one argument"),
    ("FROM a\nRUN --network=foo x", "unknown --network value: 'foo'"),
    ("FROM a\nRUN --security=insecure x", "--security=insecure is not allowed"),
    ("FROM a\nRUN --security=foo x", "unknown --security value: 'foo'"),
    ("FROM a\nRUN --mont=x y", "does not know the flag --mont"),
    ("FROM a\nRUN --mount y", "misses a value on flag: --mount"),
    ('FROM a\nRUN ["a", 1]', "arrays must be comprised of strings only"),
    ("FROM a\nCMD [1]", "arrays must be comprised of strings only"),
    ("FROM a\nCMD --x y", "does not know the flag --x"),
    ("FROM a\nCOPY a", "COPY requires at least two arguments, but 1 was provided"),
    ("FROM a\nCOPY", "COPY requires at least one argument"),
    ("FROM a\nCOPY --from=x a", "COPY requires at least two arguments"),
    ("FROM a\nCOPY --from=$x a b", "does not expand variables in --from"),
    ("FROM a\nCOPY --form=x a b", "does not know the flag --form"),
    ("FROM a\nCOPY --link=maybe a b", "expects a boolean value for flag --link"),
    ("FROM a\nCOPY --chown=1 --chown=2 a b", "has the flag --chown twice"),
    ("FROM a\nCOPY a <<E\nx\nE", "cannot have a heredoc as its destination"),
    ("FROM a\nADD a", "ADD requires at least two arguments"),
    ("FROM a\nADD --from=x a b", "does not know the flag --from"),
    ("FROM a\nENV a", "ENV must have two arguments"),
    ("FROM a\nENV a=1 b", "can't find = in 'b'"),
    ("FROM a\nENV =1", "names can not be blank"),
    ("FROM a\nENV", "ENV requires at least one argument"),
    ("FROM a\nLABEL a", "LABEL must have two arguments"),
    ("FROM a\nLABEL a=1 b", "can't find ="),
    ("FROM a\nARG", "ARG requires at least one argument"),
    ("FROM a\nARG =1", "names can not be blank"),
    ("FROM a\nSHELL /bin/sh -c", "SHELL requires the arguments to be in JSON form"),
    ("FROM a\nSHELL []", "SHELL requires the arguments to be in JSON form"),
    ("FROM a\nEXPOSE", "EXPOSE requires at least one argument"),
    ("FROM a\nUSER", "USER requires at least one argument"),
    ("FROM a\nWORKDIR", "WORKDIR requires at least one argument"),
    ("FROM a\nVOLUME []", "can not be an empty string"),
    ('FROM a\nVOLUME [""]', "can not be an empty string"),
    ("FROM a\nSTOPSIGNAL", "STOPSIGNAL requires at least one argument"),
    ("FROM a\nONBUILD", "ONBUILD requires at least one argument"),
    ("FROM a\nONBUILD ONBUILD RUN x", "ONBUILD ONBUILD isn't allowed"),
    ("FROM a\nONBUILD FROM x", "isn't allowed with FROM"),
    ("FROM a\nONBUILD MAINTAINER x", "isn't allowed with MAINTAINER"),
    ("FROM a\nONBUILD COPY x", "COPY requires at least two arguments"),
    ("FROM a\nONBUILD FOO x", "unknown instruction: FOO"),
    ("FROM a\nHEALTHCHECK", "HEALTHCHECK requires at least one argument"),
    ("FROM a\nHEALTHCHECK CMD", "misses the command after CMD"),
    ("FROM a\nHEALTHCHECK curl x", "has an unknown type 'curl'"),
    ("FROM a\nHEALTHCHECK NONE x", "NONE takes no arguments"),
    ("FROM a\nHEALTHCHECK --interval=5 CMD x", "invalid duration '5'"),
    ("FROM a\nHEALTHCHECK --interval=1us CMD x", "--interval cannot be less than 1ms"),
    ("FROM a\nHEALTHCHECK --interval=-5s CMD x", "--interval cannot be less than 1ms"),
    ("FROM a\nHEALTHCHECK --retries=x CMD y", "--retries must be a number"),
    ("FROM a\nHEALTHCHECK --start=x CMD y", "does not know the flag --start"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "message"), ERRORS)
def test_refused(text: str, message: str) -> None:
    with pytest.raises(DockerfileError) as caught:
        dockerfile(text)
    assert message in caught.value.message
    assert "\n" not in caught.value.message


@pytest.mark.parametrize(
    ("word", "nearest"),
    [("RUNN", "RUN"), ("FORM", "FROM"), ("COPPY", "COPY"), ("EVN", "ENV"), ("ENTRYPIONT", "ENTRYPOINT"),
     ("WORKDIRR", "WORKDIR"), ("EXPSOE", "EXPOSE"), ("cmdd", "CMD")],
)  # fmt: skip
def test_nearest_instruction_is_suggested(word: str, nearest: str) -> None:
    with pytest.raises(DockerfileError) as caught:
        dockerfile(f"FROM a\n{word} x")
    assert caught.value.hint == f"did you mean {nearest}?"


def test_details_show_the_lines_around() -> None:
    with pytest.raises(DockerfileError) as caught:
        dockerfile("FROM a\nENV b=1\nFOO \\\n  bar\nRUN c\n")
    assert caught.value.details.splitlines() == [
        "Dockerfile:3",
        "--------------------",
        "   1 |     FROM a",
        "   2 |     ENV b=1",
        "   3 | >>> FOO \\",
        "   4 | >>>   bar",
        "   5 |     RUN c",
        "--------------------",
    ]


def test_every_instruction_of_the_reference_is_known() -> None:
    reference = (
        "ADD ARG CMD COPY ENTRYPOINT ENV EXPOSE FROM HEALTHCHECK LABEL MAINTAINER ONBUILD RUN SHELL "
        "STOPSIGNAL USER VOLUME WORKDIR"
    )
    assert " ".join(sorted(KEYWORDS)) == reference


@pytest.mark.parametrize(
    ("text", "expected"),
    [("0", 0), ("1ns", 1), ("5us", 5_000), ("5µs", 5_000), ("5ms", 5_000_000), ("1.5s", 3 * SECOND // 2),
     ("1m30s", 90 * SECOND), ("2h", 120 * MINUTE), ("-1s", -SECOND), (".5s", SECOND // 2)],
)  # fmt: skip
def test_durations(text: str, expected: int) -> None:
    assert parse_duration(text) == expected


@pytest.mark.parametrize("text", ["", "5", "s", "5x", "5s3", "1 s", "--1s", "1s-1s"])
def test_wrong_durations(text: str) -> None:
    with pytest.raises(ValueError, match="invalid duration"):
        parse_duration(text)
