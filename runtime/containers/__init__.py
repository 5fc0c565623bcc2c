"""Containers: one verb a file. Policy turns images and options into an OCI document, then into a plan."""
