"""kubectl as it is, against the fake: what it prints, command by command (K8-007)."""

from __future__ import annotations

import re
import subprocess

import pytest

from tests.clients.conftest import KUBERAY

MANIFEST = """
apiVersion: v1
kind: ConfigMap
metadata: {name: web, labels: {app: web}}
data: {colour: red}
---
apiVersion: v1
kind: Service
metadata: {name: web, labels: {app: web}}
spec:
  selector: {app: web}
  ports: [{port: 80, targetPort: 8080}]
"""

#: Stories of (arguments, what is printed as a pattern); `<` before a command gives it the manifest, `!` expects it to fail.
STORIES: dict[str, list[tuple[str, str]]] = {
    "versions and what is served": [
        ("version", r"Server Version: v1\.\d+"),
        ("cluster-info", r"Kubernetes control plane.* is running at .*http://127\.0\.0\.1"),
        ("api-versions", r"(?m)^apps/v1$"),
        ("api-resources", r"(?m)^pods +po +v1 +true +Pod$"),
        ("api-resources --namespaced=false -o name", r"(?m)^nodes$"),
        ("get --raw /readyz", r"^ok$"),
        ("explain pod.spec.containers", r"FIELD: containers <\[\]Container>"),
    ],
    "apply from the client": [
        ("< apply -f -", r"configmap/web created\nservice/web created"),
        ("< apply -f -", r"configmap/web unchanged\nservice/web unchanged"),
        ("get configmap,service -l app=web -o name", r"^configmap/web\nservice/web$"),
        ("annotate configmap web note=hello", r"configmap/web annotated"),
        ("label configmap web tier=front", r"configmap/web labeled"),
        ("! label configmap web tier=back", r"already has a value \(front\)"),
        ("get configmap web -o jsonpath={.metadata.labels.tier}", r"^front$"),
        ("get configmap web -L tier", r"NAME +DATA +AGE +TIER\nweb +1 +\S+ +front"),
        ("< delete -f - --cascade=orphan", r'configmap "web" deleted'),
        ("! get configmap web", r'Error from server \(NotFound\): configmaps "web" not found'),
    ],
    "apply on the server": [
        ("< apply --server-side -f -", r"configmap/web serverside-applied"),
        ('patch configmap web --field-manager=other -p {"data":{"colour":"blue"}}', r"configmap/web patched"),
        ("! < apply --server-side -f -", r"conflict with \"other\".*: \.data\.colour"),
        ("< apply --server-side --force-conflicts -f -", r"configmap/web serverside-applied"),
        ("get configmap web -o jsonpath={.data.colour}", r"^red$"),
        ("get configmap web -o yaml --show-managed-fields", r"manager: kubectl\n"),
        ("< diff -f -", r"^$"),
    ],
    "patches of three kinds": [
        ("create configmap a --from-literal=x=1 --from-literal=y=2", r"configmap/a created"),
        ('patch configmap a --type=merge -p {"data":{"y":null}}', r"configmap/a patched"),
        ('patch configmap a --type=json -p [{"op":"add","path":"/data/z","value":"3"}]', r"configmap/a patched"),
        ('patch configmap a --type=strategic -p {"data":{"w":"4"}}', r"configmap/a patched"),
        ("get configmap a -o jsonpath={.data}", r'^\{"w":"4","x":"1","z":"3"\}$'),
        ("patch configmap a -p {} --dry-run=server", r"configmap/a patched \(no change\)"),
        ("delete configmap a --dry-run=server", r"deleted .*\(server dry run\)"),
        ("get configmap a -o name", r"configmap/a"),
    ],
    "pods": [
        ("run p --image=nginx --labels=app=p", r"pod/p created"),
        ("get pods -o wide", r"NAME +READY +STATUS +RESTARTS +AGE +IP +NODE .*\np +0/1 +Pending"),
        ("wait pod/p --for=jsonpath={.status.phase}=Pending --timeout=10s", r"pod/p condition met"),
        ("describe pod p", r"(?s)Name: +p\n.*Status: +Pending.*Image: +nginx"),
        ("wait pod/p --for=condition=PodScheduled=False --timeout=10s", r"pod/p condition met"),
        ("events --for pod/p", r"Warning +FailedScheduling +Pod/p +no nodes available to schedule pods"),
        ("delete pod p --now", r'pod "p" deleted'),
        ("wait pod/p --for=delete --timeout=10s", r"^$"),
    ],
    "deployments": [
        ("create deployment web --image=nginx --replicas=0 --port=80", r"deployment.apps/web created"),
        ("scale deployment web --replicas=2", r"deployment.apps/web scaled"),
        ("! scale deployment web --current-replicas=7 --replicas=3", r"Expected replicas to be 7, was 2"),
        ("get deployment web -o jsonpath={.spec.replicas}", r"^2$"),
        ("set image deployment/web nginx=nginx:2", r"deployment.apps/web image updated"),
        ("rollout restart deployment/web", r"deployment.apps/web restarted"),
        ("expose deployment web --port=80 --name=front", r"service/front exposed"),
        ("get service front -o jsonpath={.spec.selector}", r'^\{"app":"web"\}$'),
        ("autoscale deployment web --min=1 --max=3", r"horizontalpodautoscaler.autoscaling/web autoscaled"),
        ("describe deployment web", r"(?s)Selector: +app=web.*Image: +nginx:2"),
        ("delete deployment web --cascade=foreground", r'deployment.apps "web" deleted'),
    ],
    "what kubectl makes by itself": [
        ("create secret generic s --from-literal=password=x", r"secret/s created"),
        ("get secret s -o jsonpath={.data.password}", r"^eA==$"),
        ("create service clusterip c --tcp=80:8080", r"service/c created"),
        ("create serviceaccount robot", r"serviceaccount/robot created"),
        ("create token robot", r"^ey\S+\.\S+\.\S+$"),
        ("create role r --verb=get --resource=pods", r"role.rbac.authorization.k8s.io/r created"),
        ("create rolebinding b --role=r --user=u", r"rolebinding.rbac.authorization.k8s.io/b created"),
        ("create quota q --hard=pods=2", r"resourcequota/q created"),
        ("create poddisruptionbudget d --selector=a=b --min-available=1", r"poddisruptionbudget.policy/d created"),
        ("create ingress i --rule=example.com/=c:80", r"ingress.networking.k8s.io/i created"),
        ("create job j --image=x", r"job.batch/j created"),
        ("auth can-i create pods", r"^yes$"),
        ("auth whoami", r"Username +kubernetes-admin"),
    ],
    "the end of a namespace": [
        ("create configmap a", r"configmap/a created"),
        ("delete namespace {namespace}", r'namespace "{namespace}" deleted'),
        ("! get namespace {namespace}", r"NotFound"),
    ],
}


def _words(command: str) -> list[str]:
    # Patches hold no spaces, so that splitting is enough.
    return command.split()


@pytest.mark.accepts("K8-007")
@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.replace(" ", "-"))
def test_kubectl(kubectl, story):
    for line, pattern in STORIES[story]:
        command = line.replace("{namespace}", kubectl.namespace)
        pattern = pattern.replace("{namespace}", kubectl.namespace)
        words = _words(command)
        fails = words[0] == "!"
        words = words[fails:]
        reads = words[0] == "<"
        done = kubectl.run(*words[reads:], stdin=MANIFEST if reads else "")
        printed = done.stderr if fails else done.stdout
        assert (done.returncode != 0) == fails, f"kubectl {command}: {done.stdout}{done.stderr}"
        plain = re.sub(r"\x1b\[[0-9;]*m", "", printed).strip()
        assert re.search(pattern, plain), f"kubectl {command} printed {plain!r}"


def test_there_are_as_many_commands_as_promised():
    assert sum(len(story) for story in STORIES.values()) >= 40


@pytest.mark.accepts("K8-007")
def test_kubectl_watches(kubectl):
    command = kubectl.command("get", "configmaps", "--watch", "-o", "name", "--field-selector=metadata.name=seen")
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        kubectl("create", "configmap", "seen")
        assert process.stdout is not None
        assert process.stdout.readline() == "configmap/seen\n"
        kubectl("label", "configmap", "seen", "a=b")
        assert process.stdout.readline() == "configmap/seen\n"
    finally:
        process.terminate()
        process.communicate()


@pytest.mark.accepts("K8-007")
def test_what_is_wrong_is_refused_before_it_is_sent_or_by_the_server(kubectl):
    wrong = MANIFEST.replace("data: {colour: red}", "dada: {colour: red}")
    done = kubectl.run("apply", "-f", "-", stdin=wrong)
    assert done.returncode == 1
    assert 'unknown field "dada"' in done.stderr


@pytest.mark.skipif(not KUBERAY.is_dir(), reason="KubeRay's definitions and samples are not in this repository")
class TestKubeRay:
    @pytest.mark.accepts("K8-043")
    def test_a_sample_is_created_shown_explained_and_deleted(self, kubectl):
        created = kubectl("create", "-f", str(KUBERAY / "samples" / "ray-service.sample.yaml"))
        assert created == "rayservice.ray.io/rayservice-sample created\n"
        shown = kubectl("get", "rayservices")
        assert re.match(r"NAME +SERVICE STATUS +NUM SERVE ENDPOINTS\nrayservice-sample", shown)
        assert "Kind:         RayService" in kubectl("describe", "rayservice", "rayservice-sample")
        explained = kubectl("explain", "rayservice.spec.rayClusterConfig.headGroupSpec")
        assert "VERSION:    v1" in explained
        assert kubectl("get", "crd", "rayservices.ray.io", "-o", "name").endswith("rayservices.ray.io\n")
        assert '"rayservice-sample" deleted' in kubectl("delete", "rayservice", "--all")

    def test_a_cluster_that_breaks_the_schema_is_refused(self, kubectl):
        text = (KUBERAY / "samples" / "ray-cluster.sample.yaml").read_text()
        done = kubectl.run("apply", "-f", "-", stdin=text.replace("replicas: 1", "replicas: many"))
        assert done.returncode == 1
        assert "replicas" in done.stderr
