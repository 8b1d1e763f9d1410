"""RayJobs as the KubeRay API server tells of them (`kuberay-apiserver.md` section 9).

What lives here: their messages, the conversion to and from RayJob objects, and the calls. What doesn't: the cluster inside
(`clusters`), jobs handed to a running cluster (`job_submission`), and what an operator makes of a RayJob.
"""
