"""What RayService, RayCluster and Serve configuration consist of: types, quantities, names, labels, hashing, validation.

Pure functions and data only; nothing here awaits, reads a clock or has randomness of its own. What is made of these resources is
the controllers' business (`rayrig_controllers`), how any Kubernetes object is stored and checked the API server's
(`rayrig_fakes.kubernetes`).
"""
