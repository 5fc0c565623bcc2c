"""Every command, where it lives and what it does in one line; help is made of this table alone."""

from __future__ import annotations

__all__ = ["BUILDER", "COMMON", "CONTAINER", "IMAGE", "MANAGEMENT", "NETWORK", "SYSTEM", "TOP", "VOLUME"]

Modules = dict[str, tuple[str, str]]
_HERE = "tuidock.cli"

COMMON: Modules = {
    "demo": (f"{_HERE}.demo", "Build, run and show a small load-balanced application"),
    "run": (f"{_HERE}.run", "Create and run a new container from an image"),
    "exec": (f"{_HERE}.exec", "Execute a command in a running container"),
    "ps": (f"{_HERE}.ps", "List containers"),
    "build": (f"{_HERE}.build", "Build an image from a Dockerfile"),
    "pull": (f"{_HERE}.pull", "Download an image from a registry"),
    "push": (f"{_HERE}.push", "Upload an image to a registry"),
    "images": (f"{_HERE}.images", "List images"),
    "login": (f"{_HERE}.login", "Authenticate to a registry"),
    "logout": (f"{_HERE}.logout", "Log out from a registry"),
    "search": (f"{_HERE}.search", "Search a registry for images"),
    "logs": (f"{_HERE}.logs", "Fetch the logs of a container"),
    "info": (f"{_HERE}.info", "Display system-wide information"),
    "version": (f"{_HERE}.version", "Show the tuidock version information"),
}

MANAGEMENT: Modules = {
    "builder": (f"{_HERE}.builder", "Manage builds"),
    "buildx": (f"{_HERE}.builder:buildx", "Manage builds"),
    "compose": (f"{_HERE}.compose.group", "Define and run multi-container applications"),
    "container": (f"{_HERE}.container", "Manage containers"),
    "image": (f"{_HERE}.image", "Manage images"),
    "network": (f"{_HERE}.network", "Manage networks"),
    "system": (f"{_HERE}.system", "Manage tuidock"),
    "volume": (f"{_HERE}.volume", "Manage volumes"),
}

_CONTAINER_VERBS: Modules = {
    "attach": (f"{_HERE}.attach", "Attach standard input, output and error streams to a running container"),
    "commit": (f"{_HERE}.commit", "Create a new image from a container's changes"),
    "cp": (f"{_HERE}.cp", "Copy files/folders between a container and the local filesystem"),
    "create": (f"{_HERE}.create", "Create a new container"),
    "diff": (f"{_HERE}.diff", "Inspect changes to files or directories on a container's filesystem"),
    "export": (f"{_HERE}.export", "Export a container's filesystem as a tar archive"),
    "inspect": (
        f"{_HERE}.inspect:container_command",
        "Display detailed information on one or more containers",
    ),
    "kill": (f"{_HERE}.kill", "Kill one or more running containers"),
    "pause": (f"{_HERE}.pause", "Pause all processes within one or more containers"),
    "port": (f"{_HERE}.port", "List port mappings or a specific mapping for the container"),
    "rename": (f"{_HERE}.rename", "Rename a container"),
    "restart": (f"{_HERE}.restart", "Restart one or more containers"),
    "rm": (f"{_HERE}.rm", "Remove one or more containers"),
    "start": (f"{_HERE}.start", "Start one or more stopped containers"),
    "stats": (f"{_HERE}.stats", "Display a live stream of container resource usage statistics"),
    "stop": (f"{_HERE}.stop", "Stop one or more running containers"),
    "top": (f"{_HERE}.top", "Display the running processes of a container"),
    "unpause": (f"{_HERE}.unpause", "Unpause all processes within one or more containers"),
    "update": (f"{_HERE}.update", "Update configuration of one or more containers"),
    "wait": (f"{_HERE}.wait", "Block until one or more containers stop, then print their exit codes"),
}

TOP: Modules = {
    **COMMON,
    **MANAGEMENT,
    **_CONTAINER_VERBS,
    "inspect": (
        f"{_HERE}.inspect",
        "Return low-level information on containers, images, networks and volumes",
    ),
    "events": (f"{_HERE}.events", "Get real time events"),
    "history": (f"{_HERE}.history", "Show the history of an image"),
    "import": (f"{_HERE}.import_", "Import the contents from a tarball to create a file system image"),
    "load": (f"{_HERE}.load", "Load an image from a tar archive or standard input"),
    "oci": (f"{_HERE}.oci", "An OCI runtime: containers out of bundles, with runc's command line"),
    "rmi": (f"{_HERE}.rmi", "Remove one or more images"),
    "save": (
        f"{_HERE}.save",
        "Save one or more images to a tar archive (streamed to standard output by default)",
    ),
    "tag": (f"{_HERE}.tag", "Create a tag TARGET_IMAGE that refers to SOURCE_IMAGE"),
}

CONTAINER: Modules = {
    **_CONTAINER_VERBS,
    "exec": TOP["exec"],
    "list": TOP["ps"],
    "logs": TOP["logs"],
    "ls": TOP["ps"],
    "prune": (f"{_HERE}.container_prune", "Remove all stopped containers"),
    "run": TOP["run"],
}

IMAGE: Modules = {
    "bootstrap": (f"{_HERE}.image_bootstrap", "Assemble a base image out of this machine's own files"),
    "build": TOP["build"],
    "history": TOP["history"],
    "import": TOP["import"],
    "inspect": (f"{_HERE}.inspect:image_command", "Display detailed information on one or more images"),
    "load": TOP["load"],
    "ls": TOP["images"],
    "prune": (f"{_HERE}.image_prune", "Remove unused images"),
    "pull": TOP["pull"],
    "push": TOP["push"],
    "rm": TOP["rmi"],
    "save": TOP["save"],
    "tag": TOP["tag"],
}

BUILDER: Modules = {
    "build": TOP["build"],
    "du": (f"{_HERE}.builder_du", "Show what the build cache holds"),
    "prune": (f"{_HERE}.builder_prune", "Remove build cache"),
}

NETWORK: Modules = {
    "connect": (f"{_HERE}.network_connect", "Connect a container to a network"),
    "create": (f"{_HERE}.network_create", "Create a network"),
    "disconnect": (f"{_HERE}.network_disconnect", "Disconnect a container from a network"),
    "inspect": (f"{_HERE}.inspect:network_command", "Display detailed information on one or more networks"),
    "ls": (f"{_HERE}.network_ls", "List networks"),
    "prune": (f"{_HERE}.network_prune", "Remove all unused networks"),
    "rm": (f"{_HERE}.network_rm", "Remove one or more networks"),
}

VOLUME: Modules = {
    "create": (f"{_HERE}.volume_create", "Create a volume"),
    "inspect": (f"{_HERE}.inspect:volume_command", "Display detailed information on one or more volumes"),
    "ls": (f"{_HERE}.volume_ls", "List volumes"),
    "prune": (f"{_HERE}.volume_prune", "Remove unused local volumes"),
    "rm": (f"{_HERE}.volume_rm", "Remove one or more volumes"),
}

SYSTEM: Modules = {
    "boot": (f"{_HERE}.system_boot", "Start the containers that their restart policy wants running"),
    "check": (f"{_HERE}.system_check", "Check that everything is as it should be, and mend it"),
    "df": (f"{_HERE}.system_df", "Show disk usage"),
    "events": TOP["events"],
    "info": TOP["info"],
    "prune": (f"{_HERE}.system_prune", "Remove unused data"),
}
