"""tuidock compose: multi-container applications out of compose files; one file a command."""
