"""The registry client: the OCI distribution specification, spoken as docker speaks it.

``endpoints`` says where a reference may be found, ``transport`` and ``auth`` speak HTTP, ``session`` is one
repository at one endpoint, ``manifests`` and ``blobs`` are what it holds; ``pull`` and ``push`` are verbs.
"""
