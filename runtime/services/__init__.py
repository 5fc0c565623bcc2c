"""Compose projects on the engine: a pure plan, and the verbs that carry it out.

What runs is known from the containers' labels, which are docker compose's own, so that nothing here keeps a
second record.
"""
