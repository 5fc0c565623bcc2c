"""Benchmarks against docker and podman, where they are installed, and against the bare system calls.

``python -m bench [NAME...] [--runs N]``; docs/benchmarks.md says how to read the table. One measurement a
file; every figure is a median over runs that are interleaved (A B C A B C), so that the machine's mood meets
all alike.
"""
