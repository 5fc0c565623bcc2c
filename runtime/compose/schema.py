"""The names that the Compose specification knows, and which of them the engine carries out.

An attribute that is known and not supported is a warning that names it; one that is not known is an error.
Source: compose-spec, schema/compose-spec.json.
"""

from __future__ import annotations

__all__ = ["SECTIONS", "SERVICE", "SUPPORTED", "TOP_LEVEL", "UNSUPPORTED"]

TOP_LEVEL = ("name", "version", "include", "services", "networks", "volumes", "secrets", "configs", "models")

SUPPORTED = (
    "blkio_config", "build", "cap_add", "cap_drop", "cgroup_parent", "command", "configs", "container_name",
    "cpu_period", "cpu_quota", "cpu_shares", "cpus", "cpuset", "depends_on", "deploy", "devices", "dns",
    "dns_opt", "dns_search", "domainname", "entrypoint", "env_file", "environment", "expose", "extends",
    "external_links", "extra_hosts", "group_add", "healthcheck", "hostname", "image", "init", "ipc",
    "label_file", "labels",
    "links", "logging", "mem_limit", "mem_reservation", "memswap_limit", "network_mode", "networks",
    "oom_kill_disable", "oom_score_adj", "pid", "pids_limit", "platform", "ports", "privileged", "profiles",
    "pull_policy", "read_only", "restart", "scale", "secrets", "security_opt", "shm_size", "stdin_open",
    "stop_grace_period", "stop_signal", "sysctls", "tmpfs", "tty", "ulimits", "user", "userns_mode", "uts",
    "volumes", "volumes_from", "working_dir",
)  # fmt: skip

UNSUPPORTED = (
    "annotations", "attach", "cgroup", "cpu_count", "cpu_percent", "cpu_rt_period", "cpu_rt_runtime",
    "credential_spec", "develop", "device_cgroup_rules", "gpus", "isolation",
    "mac_address", "mem_swappiness", "models", "post_start", "pre_start", "pre_stop", "provider",
    "pull_refresh_after", "runtime", "storage_opt", "use_api_socket",
)  # fmt: skip

SERVICE = (*SUPPORTED, *UNSUPPORTED)

SECTIONS: dict[str, tuple[str, ...]] = {
    "build": (
        "context", "dockerfile", "dockerfile_inline", "args", "target", "labels", "no_cache",
        "no_cache_filter", "pull", "network", "tags", "extra_hosts", "shm_size", "additional_contexts",
        "secrets", "cache_from", "cache_to", "platforms", "privileged", "isolation", "ssh", "ulimits",
        "entitlements", "provenance", "sbom",
    ),
    "deploy": (
        "mode", "replicas", "labels", "resources", "restart_policy", "endpoint_mode", "update_config",
        "rollback_config", "placement",
    ),
    "resources": ("limits", "reservations"),
    "limits": ("cpus", "memory", "pids"),
    "reservations": ("cpus", "memory", "generic_resources", "devices"),
    "restart_policy": ("condition", "delay", "max_attempts", "window"),
    "update_config": ("parallelism", "delay", "failure_action", "monitor", "max_failure_ratio", "order"),
    "placement": ("constraints", "preferences", "max_replicas_per_node"),
    "healthcheck": ("test", "interval", "timeout", "retries", "start_period", "start_interval", "disable"),
    "logging": ("driver", "options"),
    "depends_on": ("condition", "restart", "required"),
    "service_network": (
        "aliases", "ipv4_address", "ipv6_address", "link_local_ips", "mac_address", "priority", "gw_priority",
        "driver_opts", "interface_name",
    ),
    "port": ("target", "published", "host_ip", "protocol", "mode", "name", "app_protocol"),
    "volume": ("type", "source", "target", "read_only", "consistency", "bind", "volume", "tmpfs", "image"),
    "volume_bind": ("propagation", "create_host_path", "selinux", "recursive"),
    "volume_volume": ("nocopy", "subpath", "labels"),
    "volume_tmpfs": ("size", "mode"),
    "volume_image": ("subpath",),
    "file_reference": ("source", "target", "uid", "gid", "mode"),
    "env_file": ("path", "required", "format"),
    "extends": ("service", "file"),
    "include": ("path", "project_directory", "env_file"),
    "ulimit": ("soft", "hard"),
    "network": (
        "name", "driver", "driver_opts", "ipam", "external", "internal", "enable_ipv4", "enable_ipv6",
        "attachable", "labels",
    ),
    "ipam": ("driver", "config", "options"),
    "ipam_config": ("subnet", "ip_range", "gateway", "aux_addresses"),
    "named_volume": ("name", "driver", "driver_opts", "external", "labels"),
    "file": ("name", "file", "environment", "content", "external", "labels", "driver", "driver_opts",
             "template_driver"),
    "blkio_config": ("weight", "weight_device", "device_read_bps", "device_read_iops", "device_write_bps",
                     "device_write_iops"),
}  # fmt: skip
"""The keys of each kind of mapping below the top level and the service."""
