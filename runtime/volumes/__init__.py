"""Named and anonymous volumes: plain directories below the state directory."""
