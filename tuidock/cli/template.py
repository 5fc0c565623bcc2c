"""Go's text/template, the part that ``--format`` uses (pkg.go.dev/text/template).

Text with actions in ``{{ }}``: fields of the data (``.State.Status``), functions (``json . | upper``),
variables, ``if``, ``range``, ``with``, comments and trim markers. Parsed once, executed for each row. Data
are what JSON knows, and callables for methods with arguments (``.Label "key"``). Raises InvalidInput, in
Go's words.
"""

from __future__ import annotations

import json
import re
from collections import ChainMap
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from runtime.errors import InvalidInput
from runtime.model.record import record
from tuidock.cli.template_functions import FUNCTIONS, Nil, go_text, truth

__all__ = ["Template"]

_DEEPEST = 50
"""Blocks or parentheses within each other; recursion over more would not end well."""
_ACTION = re.compile(r"\{\{(-\s)?(.*?)(\s-)?\}\}", re.DOTALL)
_TOKEN = re.compile(
    r"""\s*(?:(?P<string>"(?:[^"\\\n]|\\.)*"|`[^`]*`|'(?:[^'\\]|\\.)+')|(?P<number>-?[0-9]+(?:\.[0-9]+)?)
    |(?P<variable>\$\w*)|(?P<field>\.\w+)|(?P<dot>\.)|(?P<word>[A-Za-z_]\w*)|(?P<mark>:=|[=|(),]))""",
    re.VERBOSE,
)


@record
class _Literal:
    value: object


@record
class _Chain:
    """``base`` is "." (the dot), a variable, or an expression in parentheses; then fields."""

    base: str | _Pipe
    fields: tuple[str, ...]


@record
class _Call:
    """A function or a method with its arguments; a lone operand has none."""

    head: str | _Literal | _Chain
    arguments: tuple[_Literal | _Chain | _Call, ...] = ()


@record
class _Pipe:
    calls: tuple[_Call, ...]
    names: tuple[str, ...] = ()
    assigns: bool = False
    """``=`` instead of ``:=``: the variable exists already, perhaps in a block around this one."""


@dataclass
class _Block:
    """if, range, with: the pipe and what follows from it."""

    kind: str
    pipe: _Pipe
    body: list[_Node] = field(default_factory=list)
    otherwise: list[_Node] = field(default_factory=list)


_Node = str | _Pipe | _Block


class Template:
    """``Template(text)`` checks the syntax; ``render(data)`` gives the text."""

    def __init__(self, text: str) -> None:
        self._nodes = _Parser(text).parse()

    def render(self, data: object) -> str:
        out: list[str] = []
        _execute(self._nodes, data, ChainMap({"$": data}), out)
        return "".join(out)

    def header(self, titles: Mapping[str, str]) -> str:
        """The text with every action's field replaced by its title."""
        out = []
        for node in self._nodes:
            if isinstance(node, str):
                out.append(node)
            elif isinstance(node, _Pipe):
                out.append(" ".join(titles.get(name, name) for name in _names(node)))
        return "".join(out)


def _names(pipe: _Pipe) -> list[str]:
    for call in pipe.calls:
        for item in (call.head, *call.arguments):
            if isinstance(item, _Chain) and item.fields:
                if item.fields[0] == "Label" and call.arguments and isinstance(call.arguments[0], _Literal):
                    return [str(call.arguments[0].value)]
                return [item.fields[0]]
    return []


class _Parser:
    def __init__(self, text: str) -> None:
        self._parts = list(_split(text))
        self._place = 0
        self._depth = 0

    def parse(self) -> list[_Node]:
        nodes, end = self._nodes()
        if end:
            raise _wrong(f"unexpected {{{{{end}}}}}")
        return nodes

    def _nodes(self) -> tuple[list[_Node], str]:
        """Nodes up to an ``end`` or ``else`` that is not theirs, and that action."""
        nodes: list[_Node] = []
        while self._place < len(self._parts):
            kind, text = self._parts[self._place]
            self._place += 1
            if kind == "text":
                if text:
                    nodes.append(text)
                continue
            word = text.split(None, 1)[0] if text else ""
            if word in ("end", "else"):
                return nodes, text
            if word in ("if", "range", "with"):
                nodes.append(self._block(word, text[len(word) :]))
            elif not text.startswith("/*"):
                nodes.append(_Expression(text).pipe_to_end())
        return nodes, ""

    def _block(self, kind: str, text: str) -> _Block:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise _wrong("blocks are nested too deeply")
        block = _Block(kind, _Expression(text).pipe_to_end())
        block.body, end = self._nodes()
        if end.startswith("else"):
            rest = end[4:].strip()
            if rest:
                word, _, condition = rest.partition(" ")
                if word not in ("if", "with"):
                    raise _wrong(f"unexpected {rest!r} in else")
                block.otherwise = [self._block(word, condition)]
                self._depth -= 1
                return block
            block.otherwise, end = self._nodes()
        if end != "end":
            raise _wrong("unexpected EOF")
        self._depth -= 1
        return block


def _split(text: str) -> Iterator[tuple[str, str]]:
    """("text" | "action", content); white space trimmed as the markers ask."""
    position, trim = 0, False
    for match in _ACTION.finditer(text):
        piece = text[position : match.start()]
        piece = piece.lstrip() if trim else piece
        yield "text", piece.rstrip() if match[1] else piece
        content = match[2].strip()
        if not content:
            raise _wrong("missing value for command")
        yield "action", content
        position, trim = match.end(), match[3] is not None
    rest = text[position:]
    if "{{" in rest:
        raise _wrong("unclosed action")
    yield "text", rest.lstrip() if trim else rest


class _Expression:
    """The tokens of one action, and recursive descent over them."""

    def __init__(self, text: str) -> None:
        self._tokens: list[tuple[str, str, bool]] = []
        position, text = 0, text.strip()
        while position < len(text):
            match = _TOKEN.match(text, position)
            if match is None:
                raise _wrong(f"unexpected {text[position : position + 10]!r} in operand")
            kind = str(match.lastgroup)
            glued = match.start(kind) == position
            self._tokens.append((kind, match[kind], glued and position > 0))
            position = match.end()
        self._place = 0
        self._depth = 0

    def _peek(self) -> tuple[str, str, bool]:
        return self._tokens[self._place] if self._place < len(self._tokens) else ("end", "", False)

    def _next(self) -> tuple[str, str, bool]:
        token = self._peek()
        self._place += 1
        return token

    def pipe_to_end(self) -> _Pipe:
        pipe = self._pipe()
        kind, text, _ = self._peek()
        if kind != "end":
            raise _wrong(f"unexpected {text!r} in command")
        return pipe

    def _pipe(self) -> _Pipe:
        names, assigns = self._declared()
        calls = [self._call()]
        while self._peek()[:2] == ("mark", "|"):
            self._next()
            calls.append(self._call())
        return _Pipe(tuple(calls), names, assigns)

    def _declared(self) -> tuple[tuple[str, ...], bool]:
        start, names = self._place, []
        while self._peek()[0] == "variable":
            names.append(self._next()[1])
            kind, text, _ = self._next()
            if kind == "mark" and text in (":=", "="):
                return tuple(names), text == "="
            if (kind, text) != ("mark", ","):
                break
        self._place = start
        return (), False

    def _call(self) -> _Call:
        kind, text, _ = self._peek()
        if kind == "word" and text not in ("true", "false", "nil"):
            self._next()
            if text not in FUNCTIONS and text not in ("and", "or"):
                raise _wrong(f"function {text!r} not defined")
            return _Call(text, tuple(self._arguments()))
        return _Call(self._operand(), tuple(self._arguments()))

    def _arguments(self) -> Iterator[_Literal | _Chain | _Call]:
        while True:
            kind, text, _ = self._peek()
            if kind == "end" or (kind == "mark" and text in ("|", ")")):
                return
            if kind == "word" and text not in ("true", "false", "nil"):
                self._next()
                yield _Call(text)
                continue
            yield self._operand()

    def _operand(self) -> _Literal | _Chain:
        kind, text, _ = self._next()
        if kind == "string":
            return _Literal(_unquote(text))
        if kind == "number":
            return _Literal(float(text) if "." in text else int(text))
        if kind == "word" and text in ("true", "false", "nil"):
            return _Literal({"true": True, "false": False}.get(text))
        if kind == "field":
            return _Chain(".", (text[1:], *self._fields()))
        if kind == "dot":
            return _Chain(".", ())
        if kind == "variable":
            return _Chain(text, tuple(self._fields()))
        if (kind, text) == ("mark", "("):
            self._depth += 1
            if self._depth > _DEEPEST:
                raise _wrong("parentheses are nested too deeply")
            inner = self._pipe()
            self._depth -= 1
            if self._next()[:2] != ("mark", ")"):
                raise _wrong("unclosed left paren")
            return _Chain(inner, tuple(self._fields()))
        raise _wrong(f"unexpected {text!r} in operand" if text else "missing value for command")

    def _fields(self) -> Iterator[str]:
        while self._peek()[0] == "field" and self._peek()[2]:
            yield self._next()[1][1:]


def _unquote(text: str) -> str:
    if text.startswith("`"):
        return text[1:-1]
    body = text[1:-1]
    if text.startswith("'"):
        body = body.replace('"', '\\"')
    try:
        return str(json.loads('"' + body.replace("\\'", "'") + '"'))
    except ValueError:
        raise _wrong(f"invalid string {text}") from None


Scope = ChainMap[str, object]


def _execute(nodes: Sequence[_Node], dot: object, scope: Scope, out: list[str]) -> None:
    for node in nodes:
        if isinstance(node, str):
            out.append(node)
        elif isinstance(node, _Pipe):
            value = _value(node, dot, scope)
            if node.names:
                _set(scope, node, value)
            else:
                out.append(go_text(value))
        elif node.kind == "range":
            _range(node, dot, scope, out)
        else:
            value = _value(node.pipe, dot, scope)
            inner = scope.new_child()
            if node.pipe.names:
                _set(inner, node.pipe, value)
            chosen = node.body if truth(value) else node.otherwise
            _execute(chosen, value if node.kind == "with" and truth(value) else dot, inner, out)


def _set(scope: Scope, pipe: _Pipe, value: object) -> None:
    """Declare a variable in this block, or change it where it was declared."""
    name = pipe.names[0]
    if not pipe.assigns:
        scope[name] = value
        return
    holder = next((level for level in scope.maps if name in level), None)
    if holder is None:
        raise _wrong(f"undefined variable {name!r}")
    holder[name] = value


def _range(block: _Block, dot: object, scope: Scope, out: list[str]) -> None:
    value = _value(block.pipe, dot, scope)
    pairs: list[tuple[object, object]]
    if isinstance(value, Mapping):
        pairs = [(key, value[key]) for key in sorted(value, key=str)]
    elif isinstance(value, (list, tuple)):
        pairs = list(enumerate(value))
    elif isinstance(value, int) and not isinstance(value, bool):
        pairs = [(number, number) for number in range(value)]
    elif value is None or isinstance(value, Nil):
        pairs = []
    else:
        raise _wrong(f"range can't iterate over {go_text(value)}")
    if not pairs:
        _execute(block.otherwise, dot, scope.new_child(), out)
    for key, item in pairs:
        inner = scope.new_child()
        names = block.pipe.names
        if len(names) == 2:
            inner[names[0]], inner[names[1]] = key, item
        elif names:
            inner[names[0]] = item
        _execute(block.body, item, inner, out)


def _value(pipe: _Pipe, dot: object, scope: Scope) -> object:
    value: object = None
    for number, call in enumerate(pipe.calls):
        value = _call(call, dot, scope, (value,) if number else ())
    return value


def _call(call: _Call, dot: object, scope: Scope, piped: tuple[object, ...]) -> object:
    if call.head in ("and", "or") and isinstance(call.head, str):
        result: object = None
        for argument in call.arguments:
            result = _operand(argument, dot, scope)
            if truth(result) is (call.head == "or"):
                return result
        return piped[0] if piped else result
    arguments = [*(_operand(argument, dot, scope) for argument in call.arguments), *piped]
    if isinstance(call.head, str):
        try:
            return FUNCTIONS[call.head](*arguments)
        except (TypeError, ValueError, IndexError, KeyError) as error:
            detail = str(error.args[0]) if error.args else type(error).__name__
            raise _wrong(f"error calling {call.head}: {detail}") from None
    function = _operand(call.head, dot, scope, called=True)
    if callable(function):
        try:
            return function(*arguments)
        except TypeError:
            raise _wrong("wrong number of arguments for a method") from None
    if arguments:
        raise _wrong("can't give argument to non-function")
    return function


def _operand(item: _Literal | _Chain | _Call, dot: object, scope: Scope, called: bool = False) -> object:
    if isinstance(item, _Literal):
        return item.value
    if isinstance(item, _Call):
        return _call(item, dot, scope, ())
    if isinstance(item.base, _Pipe):
        value = _value(item.base, dot, scope)
    elif item.base == ".":
        value = dot
    elif item.base in scope:
        value = scope[item.base]
    else:
        raise _wrong(f"undefined variable {item.base!r}")
    for name in item.fields:
        value = _member(value, name)
    if callable(value) and not called:
        method: Callable[[], object] = value
        value = method()
    return value


def _member(value: object, name: str) -> object:
    """A map's absent key is nil (it prints "<no value>"); an absent field of a document is an error."""
    if isinstance(value, Mapping):
        if name in value:
            return value[name]
        lower = {str(key).lower(): key for key in value}
        if name.lower() in lower and not name.islower():
            return value[lower[name.lower()]]
        if value and all(re.fullmatch(r"[A-Z]\w*", str(key)) for key in value):
            import difflib

            close = difflib.get_close_matches(name, [str(key) for key in value], 1)
            known = ", ".join(f".{key}" for key in value)
            hint = f"did you mean .{close[0]}?" if close else f"fields here: {known}"
            raise InvalidInput(f"template: can't evaluate field {name}", hint=hint, subject=name)
        return None
    if value is None:
        return None
    if isinstance(value, Nil):
        raise _wrong(f"nil pointer evaluating .{name}")
    raise _wrong(f"can't evaluate field {name} in {go_text(value)!r}")


def _wrong(reason: str) -> InvalidInput:
    return InvalidInput(
        f"template parsing error: {reason}", hint="for example '{{.ID}}: {{json .}}'", subject=reason
    )
