"""The process that stays with a container: isolates it, supervises it, keeps its log, ends with it.

One per container and no daemon above them. Everything here is loaded into a resident process, so it
imports little: no dataclasses, enum, json, re or typing.
"""
