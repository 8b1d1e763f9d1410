"""Ray in pods: the processes of head and worker containers, and what all Ray clusters of one world share.

What does not live here: the cluster that these processes make up (`rayrig_sim.ray`), Serve on it (`rayrig_sim.serve`), and the
kubelet that starts them (`rayrig_sim.kubernetes`).
"""
