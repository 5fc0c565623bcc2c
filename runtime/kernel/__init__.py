"""The door to the kernel: system calls, ioctls and prctl. Mechanism only; what to do is decided elsewhere.

Loaded into the small per-container process, so modules import nothing heavy (no typing, enum, re, json ...).
"""
