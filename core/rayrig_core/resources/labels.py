"""Labels, annotations, finalizers and ports that KubeRay's operator reads and writes (kuberay-operator sections 4.4 to 4.7)."""

from __future__ import annotations

# Labels
CLUSTER = "ray.io/cluster"
NODE_TYPE = "ray.io/node-type"
GROUP = "ray.io/group"
IS_RAY_NODE = "ray.io/is-ray-node"
IDENTIFIER = "ray.io/identifier"
#: On pods `true`/`false`; on a serve Service (as a label) `<base>-serve`; in the RayService serve Service's selector `true`.
SERVE = "ray.io/serve"
ORIGINATED_FROM_CR_NAME = "ray.io/originated-from-cr-name"
ORIGINATED_FROM_CRD = "ray.io/originated-from-crd"
HEADLESS_WORKER_SERVICE = "ray.io/headless-worker-svc"
REPLICA_NAME = "ray.io/worker-group-replica-name"
REPLICA_INDEX = "ray.io/worker-group-replica-index"
HOST_INDEX = "ray.io/replica-host-index"
APP_NAME = "app.kubernetes.io/name"
CREATED_BY = "app.kubernetes.io/created-by"
#: Kubernetes' own, on EndpointSlices: the Service they belong to.
SERVICE_NAME = "kubernetes.io/service-name"

# Values of labels
HEAD = "head"
WORKER = "worker"
REDIS_CLEANUP = "redis-cleanup"
HEAD_GROUP = "headgroup"
KUBERAY = "kuberay"
KUBERAY_OPERATOR = "kuberay-operator"
#: The operator's Pod cache holds only pods whose `ray.io/node-type` is one of these.
NODE_TYPES = (HEAD, WORKER, REDIS_CLEANUP)

# Annotations
SPEC_HASH = "ray.io/hash-without-replicas-and-workers-to-delete"
NUM_WORKER_GROUPS = "ray.io/num-worker-groups"
KUBERAY_VERSION = "ray.io/kuberay-version"
RECREATE_HASH = "ray.io/upgrade-strategy-recreate-hash"
FT_ENABLED = "ray.io/ft-enabled"
EXTERNAL_STORAGE_NAMESPACE = "ray.io/external-storage-namespace"
GCS_FT_DELETION_TIMEOUT = "ray.io/gcs-ft-deletion-timeout"
INITIALIZING_TIMEOUT = "ray.io/initializing-timeout"
ENABLE_SERVE_SERVICE = "ray.io/enable-serve-service"
OVERWRITE_CONTAINER_CMD = "ray.io/overwrite-container-cmd"
DISABLE_PROVISIONED_HEAD_RESTART = "ray.io/disable-provisioned-head-restart"
INGRESS_CLASS = "kubernetes.io/ingress.class"

# Finalizers
RAY_SERVICE_FINALIZER = "ray.io/rayservice-finalizer"
REDIS_CLEANUP_FINALIZER = "ray.io/gcs-ft-redis-cleanup-finalizer"

# `managedBy`: any other value makes the operator leave the object alone
MANAGED_BY_OPERATOR = "ray.io/kuberay-operator"
MANAGED_BY_MULTIKUEUE = "kueue.x-k8s.io/multikueue"

# Names of ports
GCS_PORT_NAME = "gcs-server"
DASHBOARD_PORT_NAME = "dashboard"
CLIENT_PORT_NAME = "client"
SERVE_PORT_NAME = "serve"
METRICS_PORT_NAME = "metrics"

# Ports
GCS_PORT = 6379
DASHBOARD_PORT = 8265
CLIENT_PORT = 10001
SERVE_PORT = 8000
METRICS_PORT = 8080
DASHBOARD_AGENT_PORT = 52365
GATEWAY_PORT = 80

# Environment variable that chooses the autoscaler when the spec doesn't
AUTOSCALER_V2_ENV = "RAY_enable_autoscaler_v2"
