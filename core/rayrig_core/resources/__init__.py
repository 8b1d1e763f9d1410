"""What RayService, RayCluster and Serve configuration consist of: types, quantities, names, labels, hashing, validation.

Pure functions and data only; nothing here awaits, draws random numbers or reads a clock.
"""
