"""Types of what travels to a monitor; imported for checking only, never at run time.

A ``Plan`` is made by ``containers/start.py``: the process part from the OCI document
(``containers/plan.py``), and beside it the container's identity, paths, layers, log, restart policy,
health check and published ports. A ``Request`` is {"op": ..., ...}, see ``monitor/requests.py``.
"""

from typing import Any

__all__ = ["Plan", "Request"]

Plan = dict[str, Any]
Request = dict[str, Any]
