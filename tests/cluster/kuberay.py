"""What a KubeRay RayJob may say, by names and types of ray.io/v1 (KubeRay's API reference): its own fields.

Templates of pods are Kubernetes' own and held against its schemas elsewhere. KubeRay's CRD comes in no package.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class AutoscalerOptions(_Strict):
    """Of Ray's autoscaler, which runs in the head's pod."""

    resources: dict[str, Any] | None = None
    image: str | None = None
    imagePullPolicy: Literal["Always", "IfNotPresent", "Never"] | None = None
    securityContext: dict[str, Any] | None = None
    idleTimeoutSeconds: int | None = Field(None, ge=0)
    upscalingMode: Literal["Default", "Aggressive", "Conservative"] | None = None
    version: Literal["v1", "v2"] | None = None
    env: list[dict[str, Any]] | None = None
    envFrom: list[dict[str, Any]] | None = None
    volumeMounts: list[dict[str, Any]] | None = None


class HeadGroup(_Strict):
    """The head's pod. Parameters of `ray start` are texts, numbers too."""

    rayStartParams: dict[str, str]
    template: dict[str, Any]
    serviceType: Literal["ClusterIP", "NodePort", "LoadBalancer"] | None = None
    headService: dict[str, Any] | None = None
    enableIngress: bool | None = None


class WorkerGroup(_Strict):
    """Pods of one kind."""

    groupName: str = Field(pattern=r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$")
    rayStartParams: dict[str, str]
    template: dict[str, Any]
    replicas: int = Field(0, ge=0)
    minReplicas: int = Field(ge=0)
    maxReplicas: int = Field(ge=0)
    numOfHosts: int = 1
    idleTimeoutSeconds: int | None = None
    suspend: bool | None = None


class ClusterSpec(_Strict):
    """The cluster of a job."""

    rayVersion: str
    headGroupSpec: HeadGroup
    workerGroupSpecs: list[WorkerGroup]
    enableInTreeAutoscaling: bool | None = None
    autoscalerOptions: AutoscalerOptions | None = None
    headServiceAnnotations: dict[str, str] | None = None
    gcsFaultToleranceOptions: dict[str, Any] | None = None
    suspend: bool | None = None
    managedBy: str | None = None


class JobSpec(_Strict):
    """The job."""

    entrypoint: str
    rayClusterSpec: ClusterSpec
    submissionMode: Literal["K8sJobMode", "HTTPMode", "InteractiveMode"] = "K8sJobMode"
    shutdownAfterJobFinishes: bool = False
    ttlSecondsAfterFinished: int = Field(0, ge=0)
    backoffLimit: int = Field(0, ge=0)
    activeDeadlineSeconds: int | None = Field(None, gt=0)
    runtimeEnvYAML: str | None = None
    jobId: str | None = None
    metadata: dict[str, str] | None = None
    submitterPodTemplate: dict[str, Any] | None = None
    suspend: bool = False


class Metadata(_Strict):
    """What the files here say of an object."""

    name: str = Field(pattern=r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$", max_length=47)
    namespace: str | None = None
    labels: dict[str, str] | None = None
    annotations: dict[str, str] | None = None


class RayJob(_Strict):
    """The whole object."""

    apiVersion: Literal["ray.io/v1"]
    kind: Literal["RayJob"]
    metadata: Metadata
    spec: JobSpec
