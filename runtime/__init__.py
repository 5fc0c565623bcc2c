"""The container engine: isolates processes, keeps images, builds, networks and services.

Use :class:`runtime.engine.Engine`; everything below it is the engine's own.
"""
