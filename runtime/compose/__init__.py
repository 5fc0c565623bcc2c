"""Compose files, from text to a checked project model; pure but for reading the files that they name.

Source: the Compose specification (github.com/compose-spec/compose-spec). The steps, a module each: nodes
(YAML with line numbers), interpolate, canonical (short forms made long, paths made absolute), extends,
merge, then service and its parts, which check every value and make the model of
:mod:`runtime.compose.project`; load runs them all.
"""
