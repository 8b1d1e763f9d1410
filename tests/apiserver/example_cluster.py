"""The template and the cluster of the reference's acceptance behaviours (kuberay-apiserver section 17)."""

from __future__ import annotations

from rayrig_core.objects import JsonObject

TEMPLATE: JsonObject = {"name": "default-template", "namespace": "default", "cpu": 2, "memory": 4}
CLUSTER: JsonObject = {
    "name": "test-cluster",
    "namespace": "default",
    "user": "boris",
    "annotations": {"ray.io/enable-serve-service": "true"},
    "clusterSpec": {
        "headGroupSpec": {
            "computeTemplate": "default-template",
            "image": "rayproject/ray:2.8.0-py310",
            "serviceType": "ClusterIP",
            "rayStartParams": {
                "dashboard-host": "0.0.0.0",
                "metrics-export-port": "8080",
                "dashboard-agent-listen-port": "52365",
            },
        },
        "workerGroupSpec": [
            {
                "groupName": "small-wg",
                "computeTemplate": "default-template",
                "image": "rayproject/ray:2.8.0-py310",
                "replicas": 1,
                "minReplicas": 0,
                "maxReplicas": 5,
                "rayStartParams": {"node-ip-address": "$MY_POD_IP"},
            }
        ],
    },
}
