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

NODE = """
apiVersion: v1
kind: Node
metadata: {name: "{node}"}
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
    "what is printed and how": [
        ("< apply -f -", r"configmap/web created\nservice/web created"),
        ("get configmap web -o yaml", r"(?s)apiVersion: v1\ndata:\n  colour: red\nkind: ConfigMap\n.*  name: web"),
        ("get configmap web -o go-template={{.data.colour}}", r"^red$"),
        ("get configmaps -o custom-columns=NAME:.metadata.name,COLOUR:.data.colour", r"NAME +COLOUR\nweb +red"),
        ("get services --sort-by=.metadata.name --no-headers", r"^web +ClusterIP +10\.96\.\S+ +<none> +80/TCP"),
        ("get configmaps --field-selector=metadata.name=web --show-labels", r"web +1 +\S+ +app=web"),
        ("get configmaps --field-selector=metadata.name!=web", r"^$"),
        ("get configmaps -A --selector=app=web", r"NAMESPACE +NAME +DATA +AGE\n(.*\n)*{namespace} +web"),
        ("get all", r"service/web"),
        ("! get configmap nope", r'configmaps "nope" not found'),
        ("! get nopes", r"the server doesn't have a resource type \"nopes\""),
        ("get configmap web nope --ignore-not-found -o name", r"^configmap/web$"),
        ("get endpointslices", r"NAME +ADDRESSTYPE +PORTS +ENDPOINTS +AGE\nweb-\w{5} +IPv4"),
        ("describe service web", r"(?s)Name: +web\n.*Selector: +app=web\n.*TargetPort: +8080/TCP"),
        ("get namespace {namespace}", r"{namespace} +Active"),
    ],
    "labels and annotations come and go": [
        ("create configmap a --from-literal=x=1", r"configmap/a created"),
        ("label configmap a tier=front", r"configmap/a labeled"),
        ("label configmap a tier=back --overwrite", r"configmap/a labeled"),
        ("label configmap a tier-", r"configmap/a unlabeled"),
        ("annotate configmaps --all note=hello", r"configmap/a annotated"),
        ("annotate configmap a note-", r"configmap/a annotated"),
        ("get configmap a -o jsonpath={.metadata.labels}{.metadata.annotations}", r"^$"),
    ],
    "a difference is shown and left": [
        ("< apply -f -", r"configmap/web created"),
        ('patch configmap web -p {"data":{"colour":"blue"}}', r"configmap/web patched"),
        ("! < diff -f -", r"^$"),
        ("< replace -f -", r"configmap/web replaced"),
        ("get configmap web -o jsonpath={.data.colour}", r"^red$"),
        ("< delete -f - --wait=true --cascade=background", r'configmap "web" deleted'),
    ],
    "a rollout": [
        ("create deployment web --image=nginx:1 --replicas=0", r"deployment.apps/web created"),
        ("rollout status deployment/web --timeout=20s", r'deployment "web" successfully rolled out'),
        ("set image deployment/web nginx=nginx:2", r"deployment.apps/web image updated"),
        ("rollout status deployment/web --timeout=20s", r'deployment "web" successfully rolled out'),
        ("rollout history deployment/web", r"REVISION +CHANGE-CAUSE\n1 +<none>\n2 +<none>"),
        ("rollout history deployment/web --revision=2", r"Image:\s+nginx:2"),
        ("rollout undo deployment/web", r"deployment.apps/web rolled back"),
        ("get deployment web -o jsonpath={.spec.template.spec.containers[0].image}", r"^nginx:1$"),
        ("rollout pause deployment/web", r"deployment.apps/web paused"),
        ("rollout resume deployment/web", r"deployment.apps/web resumed"),
        ("set env deployment/web COLOUR=red", r"deployment.apps/web env updated"),
        ("set resources deployment/web --limits=cpu=1", r"deployment.apps/web resource requirements updated"),
        ("rollout restart deployment/web", r"deployment.apps/web restarted"),
        ("get replicasets -l app=web --no-headers", r"(web-\w+ +0 +0 +0 .*\n?){4}"),
    ],
    "pods of a deployment": [
        ("create deployment web --image=nginx --replicas=2", r"deployment.apps/web created"),
        ("wait deployment/web --for=jsonpath={.status.replicas}=2 --timeout=20s", r"deployment.apps/web condition met"),
        ("get pods -l app=web --no-headers", r"(?m)(^web-\w+-\w{5} +0/1 +Pending +0 .*\n?){2}"),
        ("scale deployment web --replicas=1", r"deployment.apps/web scaled"),
        ("wait deployment/web --for=jsonpath={.status.replicas}=1 --timeout=20s", r"deployment.apps/web condition met"),
        ("delete deployment web --cascade=orphan", r'deployment.apps "web" deleted'),
        ("get replicasets -o name", r"^replicaset.apps/web-\w+$"),
        ("delete replicaset -l app=web --cascade=foreground", r'replicaset.apps "web-\w+" deleted'),
        ("wait pods -l app=web --for=delete --timeout=20s", r"^$"),
        ("get all", r"^$"),
    ],
    "a node is taken out": [
        ("cordon {node}", r"node/{node} cordoned"),
        ("get node {node}", r"{node} +NotReady,SchedulingDisabled|{node} +Unknown,SchedulingDisabled"),
        ("taint node {node} dedicated=ray:NoSchedule", r"node/{node} tainted"),
        ("label node {node} disk=ssd", r"node/{node} labeled"),
        ("drain {node} --ignore-daemonsets --timeout=20s", r"node/{node} drained"),
        ("uncordon {node}", r"node/{node} uncordoned"),
        ("describe node {node}", r"(?s)Taints: +dedicated=ray:NoSchedule"),
        ("delete node {node}", r'node "{node}" deleted'),
    ],
    "who may do what": [
        ("auth can-i --list", r"\*\.\* +\[\] +\[\] +\[\*\]"),
        ("auth can-i delete pods --as=system:serviceaccount:{namespace}:robot", r"^yes$"),
        ("create clusterrole c-{namespace} --verb=list --resource=nodes", r"clusterrole.rbac.*/c-{namespace} created"),
        ("describe clusterrole c-{namespace}", r"nodes +\[\] +\[\] +\[list\]"),
        ("delete clusterrole c-{namespace}", r'"c-{namespace}" deleted'),
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
    if "{node}" in str(STORIES[story]):
        kubectl("create", "-f", "-", stdin=NODE.replace("{node}", f"node-{kubectl.namespace}"))
    for line, pattern in STORIES[story]:
        node = f"node-{kubectl.namespace}"
        command = line.replace("{namespace}", kubectl.namespace).replace("{node}", node)
        pattern = pattern.replace("{namespace}", kubectl.namespace).replace("{node}", node)
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
    assert sum(len(story) for story in STORIES.values()) >= 120


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
def test_an_object_is_edited(kubectl, monkeypatch):
    kubectl("create", "configmap", "a", "--from-literal=colour=red")
    monkeypatch.setenv("KUBE_EDITOR", "sed -i s/red/green/")
    assert kubectl("edit", "configmap", "a") == "configmap/a edited\n"
    assert kubectl.json("get", "configmap", "a")["data"] == {"colour": "green"}


@pytest.mark.accepts("K8-007")
def test_a_difference_is_printed_as_one(kubectl):
    kubectl("apply", "-f", "-", stdin=MANIFEST)
    done = kubectl.run("diff", "-f", "-", stdin=MANIFEST.replace("colour: red", "colour: blue"))
    assert done.returncode == 1
    changed = [line for line in done.stdout.splitlines() if line.startswith(("-  ", "+  "))]
    assert changed == ["-  colour: red", "+  colour: blue"]


@pytest.mark.accepts("K8-007")
def test_an_apply_can_prune(kubectl):
    kubectl("apply", "-f", "-", stdin=MANIFEST)
    config_map, _, _ = MANIFEST.partition("---")
    printed = kubectl("apply", "-f", "-", "--prune", "-l", "app=web", stdin=config_map)
    assert "service/web pruned" in printed
    assert kubectl("get", "service", "-o", "name") == ""


@pytest.mark.accepts("K8-007")
def test_a_wait_ends_when_what_it_waits_for_comes(kubectl):
    kubectl("create", "configmap", "a")
    waiting = subprocess.Popen(
        kubectl.command("wait", "configmap/a", "--for=jsonpath={.data.done}=yes", "--timeout=30s"),
        stdout=subprocess.PIPE,
        text=True,
    )
    kubectl("patch", "configmap", "a", "-p", '{"data":{"done":"yes"}}')
    out, _ = waiting.communicate(timeout=30)
    assert (waiting.returncode, out) == (0, "configmap/a condition met\n")


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
