"""Why a pod is not ready, or was not at some time: from the verdict of scheduler, kubelet or probe down to its cause.

What lives where:

- `chain`: what comes out: links, each the cause of the one before it, and the times at which the pod was not ready;
- `evidence`: what is known of a cluster at a moment, of a run (`from_run`) or of a real cluster (`from_cluster`);
- `explain`: the way down, by the stages of a pod's life (`stages`): `scheduling`, `nodes`, `containers`, `probing`, `ending`
  tell each; `ray_picture` and `serve_reasons` what is behind the probes of a Ray pod, `causes` what led to a trace event,
  `unready_times` when the pod was not ready;
- `names`: which pod is meant.

Nothing here changes a world or takes time. Not here: printing (`rayrig.report.why`).
"""
