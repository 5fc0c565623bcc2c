"""Own widgets, all of them line by line: what does not change is not drawn again."""
