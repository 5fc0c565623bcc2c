"""What opens over the panes: help, menus and questions."""
