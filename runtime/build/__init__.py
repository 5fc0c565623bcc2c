"""Dockerfile builds: lexer, parser, stage graph, cache, and one file per instruction family.

The way of a build: :mod:`lexer` and :mod:`parser` turn text into :mod:`instructions`; :mod:`stages` decides
which stages the target needs; :mod:`build` walks them, each instruction changing a :class:`state.StageState`;
steps that write files make one layer directory each, found again through :mod:`cache`.
"""
