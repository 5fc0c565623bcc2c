"""docs/compose.md names what is supported, and nothing else."""

from __future__ import annotations

import re
from pathlib import Path

from runtime.compose.schema import SUPPORTED, UNSUPPORTED

DOCUMENT = Path(__file__).parents[2] / "docs" / "compose.md"


def test_every_attribute_is_listed_where_it_belongs() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    section = text.partition("## What is supported")[2].partition("\n## ")[0]
    carried_out, _, not_yet = section.partition("These are not yet")
    assert re.findall(r"`([a-z_]+)`", carried_out) == list(SUPPORTED)
    assert re.findall(r"`([a-z_]+)`", not_yet.partition("\n\nOf `build`")[0]) == list(UNSUPPORTED)
