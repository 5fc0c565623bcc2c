"""Images: references, the content store, unpacked layers, archives, and the base image.

Bytes live in an OCI image layout (:mod:`runtime.images.content`), names and sizes in the database
(:mod:`runtime.store.images`), unpacked layers in one directory each (:mod:`runtime.images.layers`).
"""
