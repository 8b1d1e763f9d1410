"""The calls about jobs."""

from __future__ import annotations

from rayrig.apiserver.clusters.spec import template_names
from rayrig.apiserver.clusters.unconvertible import Unconvertible
from rayrig.apiserver.clusters.validation import check_cluster_spec, check_head
from rayrig.apiserver.compute_templates.service import ComputeTemplates
from rayrig.apiserver.jobs import messages
from rayrig.apiserver.jobs.rayjob import job_of, rayjob_of
from rayrig.apiserver.requests import NO_NAMESPACE, name_and_namespace_in, namespace_in
from rayrig.apiserver.stored import KUBERNETES_FAILED, OURS, managed_object
from rayrig.apiserver.wire.errors import CallError, internal_error, invalid_input, invalid_input_because, plain
from rayrig.apiserver.wire.messages import EMPTY
from rayrig.apiserver.wire.routes import Route
from rayrig_core.objects import JsonObject
from rayrig_core.ports import KubernetesClient
from rayrig_core.resource_types import RAY_JOB

_COLLECTION = "/apis/v1/namespaces/{namespace}/jobs"
_NO_JOB_NAME = "job name is empty. Please specify a valid value."
_NO_JOB_NAMESPACE = "job namespace is empty. Please specify a valid value."


class Jobs:
    """Creates, tells of and deletes RayJobs made through this server."""

    def __init__(self, kubernetes: KubernetesClient, templates: ComputeTemplates) -> None:
        self._kubernetes = kubernetes
        self._templates = templates

    def routes(self) -> tuple[Route, ...]:
        service, item = "RayJobService", _COLLECTION + "/{name}"
        return (
            Route(
                "POST",
                _COLLECTION,
                f"{service}.CreateRayJob",
                messages.CREATE_REQUEST,
                messages.RAY_JOB,
                self.create,
                body="job",
            ),
            Route("GET", item, f"{service}.GetRayJob", messages.GET_REQUEST, messages.RAY_JOB, self.get),
            Route("GET", _COLLECTION, f"{service}.ListRayJobs", messages.LIST_REQUEST, messages.LIST_REPLY, self.list),
            Route(
                "GET",
                "/apis/v1/jobs",
                f"{service}.ListAllRayJobs",
                messages.LIST_ALL_REQUEST,
                messages.LIST_ALL_REPLY,
                self.list_all,
            ),
            Route("DELETE", item, f"{service}.DeleteRayJob", messages.DELETE_REQUEST, EMPTY, self.delete),
        )

    async def create(self, request: JsonObject) -> JsonObject:
        job = request.get("job", {})
        try:
            _check(job, request.get("namespace", ""))
        except CallError as error:
            raise error.wrap("Validate job request failed.") from None
        try:
            return job_of(await self._store(job))
        except CallError as error:
            raise error.wrap("Create Job failed.") from None

    async def _store(self, job: JsonObject) -> JsonObject:
        namespace = job["namespace"]
        which = f"({namespace}/{job.get('jobId', '')})"
        names = template_names(job["clusterSpec"]) if "clusterSpec" in job else ()
        try:
            templates = await self._templates.read_all(names, namespace)
        except CallError as error:
            raise internal_error(f"Failed to populate compute template for {which}", error.internal) from None
        try:
            rayjob = rayjob_of(job, templates)
        except Unconvertible as error:
            raise invalid_input_because("Failed to create a Ray Job", error) from None
        try:
            return await self._kubernetes.create(RAY_JOB, rayjob, namespace)
        except KUBERNETES_FAILED as error:
            raise internal_error(f"Failed to create a job for {which}", error) from None

    async def get(self, request: JsonObject) -> JsonObject:
        name, namespace = name_and_namespace_in(request, _NO_JOB_NAME, _NO_JOB_NAMESPACE)
        try:
            return job_of(await self._read(name, namespace))
        except CallError as error:
            raise error.wrap("Get cluster failed.") from None

    async def _read(self, name: str, namespace: str) -> JsonObject:
        return await managed_object(self._kubernetes, RAY_JOB, name, namespace, noun="Job", failed="Get Job failed")

    async def list(self, request: JsonObject) -> JsonObject:
        namespace_in(request, _NO_JOB_NAMESPACE)
        return await self.list_all(request)

    async def list_all(self, request: JsonObject) -> JsonObject:
        namespace = request.get("namespace", "")
        limit, token = request.get("limit", 0), request.get("continue", "")
        try:
            page = await self._kubernetes.list(
                RAY_JOB, namespace, label_selector=OURS, limit=limit, continue_token=token
            )
        except KUBERNETES_FAILED as error:
            where = f"in {namespace} with Limit {limit} and ContinueToken {token}"
            raise plain(f"List jobs failed.: List RayCluster failed {where}: {error}") from None
        return {"jobs": [job_of(each) for each in page.items], "continue": page.continue_token}

    async def delete(self, request: JsonObject) -> JsonObject:
        name, namespace = name_and_namespace_in(request, _NO_JOB_NAME, _NO_JOB_NAMESPACE)
        try:
            await self._read(name, namespace)
        except CallError as error:
            raise error.wrap("Get job failure") from None
        try:
            await self._kubernetes.delete(RAY_JOB, name, namespace)
        except KUBERNETES_FAILED as error:
            raise internal_error(f"Failed to delete cluster {name}.", error) from None
        return {}


def _check(job: JsonObject, namespace: str) -> None:
    """A cluster beside a selector is not checked, but must have a head: KubeRay's server dies of one without."""
    if not namespace:
        raise invalid_input(NO_NAMESPACE)
    if namespace != job.get("namespace", ""):
        raise invalid_input("The namespace in the request is different from the namespace in the job definition.")
    if not job.get("name"):
        raise invalid_input("Job name is empty. Please specify a valid value.")
    if not job.get("user"):
        raise invalid_input("User who create the job is empty. Please specify a valid value.")
    if not job.get("clusterSelector"):
        check_cluster_spec(job.get("clusterSpec"))
    elif "clusterSpec" in job:
        check_head(job["clusterSpec"])
