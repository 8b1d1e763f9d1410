"""The RayCluster controller: head and worker pods, Services, scaling, suspension, status (kuberay-operator section 3).

Pure functions say what each child looks like and what is to be done; `controller` and `pods` carry it out. Nothing here knows of
RayService beyond the labels it puts on the clusters it makes.
"""
