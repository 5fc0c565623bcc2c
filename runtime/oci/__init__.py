"""An OCI runtime: bundles instead of images, no monitor, the same isolation.

The verbs are :mod:`runtime.oci.lifecycle`'s and :mod:`runtime.oci.execute`'s, after the OCI's runtime-spec
(runtime.md) and runc's command line. Nothing of the engine's database is used: all that is known of a
container is its directory below the state root, and no process of ours stays beside it; who calls
(conmon, containerd's shim) supervises.
"""
