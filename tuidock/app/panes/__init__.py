"""The lists on the left: each pane is data. To add one, write its module and name it in :data:`PANES`."""

from __future__ import annotations

from tuidock.app.panes.containers import CONTAINERS
from tuidock.app.panes.images import IMAGES
from tuidock.app.panes.networks import NETWORKS
from tuidock.app.panes.pane import Pane
from tuidock.app.panes.services import SERVICES
from tuidock.app.panes.volumes import VOLUMES

__all__ = ["PANES"]

PANES: tuple[Pane, ...] = (SERVICES, CONTAINERS, IMAGES, NETWORKS, VOLUMES)
