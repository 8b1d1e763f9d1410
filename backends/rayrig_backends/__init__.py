"""The choice of world: wires the pillars into one, or puts a real cluster in their place."""
