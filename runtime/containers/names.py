"""Names for containers that were given none: an adjective and a thing of the harbour."""

from __future__ import annotations

import os

__all__ = ["invent"]

_ADJECTIVES = """
agile able amber ample blithe bold brave breezy bright brisk calm candid cheery chipper clear clever
cosy crisp curious daring deft eager earnest easy fair famous fleet fond frank free fresh gentle
gifted glad golden grand happy hardy hearty honest humble ideal jaunty jolly keen kind lively loyal
lucid lucky mellow merry mighty modest neat nimble noble patient placid plucky polite prime proud
quick quiet rapid ready robust salty serene sharp shiny silent sleek smart snug solid spry stable
steady stoic sunny supple sure swift tender tidy trusty upbeat vivid warm wise witty zesty
""".split()  # noqa: SIM905 - two hundred quotes would hide the words

_THINGS = """
anchor barge beacon berth boom bosun bow breeze bridge brig buoy cabin cable canal capstan cargo
chart clipper coast compass coral cove crane crew current cutter davit deck delta derrick dhow
dinghy dock dolphin dory drift ferry fjord fleet galley gangway gull gunwale harbor hatch hawser
heron hoist hull inlet island jetty jib kayak keel kelp ketch kite lagoon launch lighthouse lock
lugger mast mooring oar otter packet pier pilot piper port prow puffin quay raft reef rigger rope
rudder sail schooner seal sextant shoal skiff sloop spar squall stern tender tide tiller trawler tug
wake walrus wharf winch yacht yawl
""".split()  # noqa: SIM905 - two hundred quotes would hide the words


def invent() -> str:
    """Some ten thousand pairs; the caller tries again when one is taken."""
    first, second, extra, number = os.urandom(4)
    suffix = str(number % 100) if extra % 3 == 0 else ""
    return f"{_ADJECTIVES[first % len(_ADJECTIVES)]}_{_THINGS[second % len(_THINGS)]}{suffix}"
