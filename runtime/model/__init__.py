"""What the engine knows, as frozen dataclasses and StrEnums; one module a noun.

Import the noun's module, not this package: a command loads only what it needs.
All times are integers, nanoseconds since the epoch; all sizes are bytes.
"""
