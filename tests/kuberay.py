"""The fields of KubeRay's RayCluster, as its operator 1.5 knows them, to find a misspelt one.

The operator's own schema is a file of a megabyte, most of it about pods. Kubernetes drops a field
that it does not know, without a word.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

POD_SPEC = {
    "restartPolicy": str,
    "serviceAccountName": str,
    "containers": list,
    "volumes": list,
    "nodeSelector": dict,
    "tolerations": list,
    "terminationGracePeriodSeconds": int,
    "securityContext": dict,
    "imagePullSecrets": list,
}
CONTAINER = {
    "name": str,
    "image": str,
    "resources": {"limits": {str: str}, "requests": {str: str}},
    "env": list,
    "envFrom": list,
    "ports": list,
    "volumeMounts": list,
    "lifecycle": dict,
    "securityContext": dict,
}
TEMPLATE = {"metadata": dict, "spec": POD_SPEC}
CLUSTER: dict[Any, Any] = {
    "apiVersion": {"ray.io/v1"},
    "kind": {"RayCluster"},
    "metadata": {"name": str, "namespace": str, "annotations": {str: str}, "labels": {str: str}},
    "spec": {
        "rayVersion": str,
        "enableInTreeAutoscaling": bool,
        "suspend": bool,
        "headServiceAnnotations": {str: str},
        "authOptions": {"mode": {"token", "disabled"}, "secretName": str},
        "autoscalerOptions": {
            "version": {"v1", "v2"},
            "idleTimeoutSeconds": int,
            "upscalingMode": {"Default", "Aggressive", "Conservative"},
            "resources": dict,
            "env": list,
            "image": str,
        },
        "gcsFaultToleranceOptions": {
            "redisAddress": str,
            "redisUsername": {"value": str, "valueFrom": dict},
            "redisPassword": {"value": str, "valueFrom": dict},
            "externalStorageNamespace": str,
        },
        "headGroupSpec": {
            "rayStartParams": {str: str},
            "template": TEMPLATE,
            "serviceType": str,
            "enableIngress": bool,
        },
        "workerGroupSpecs": [
            {
                "groupName": str,
                "replicas": int,
                "minReplicas": int,
                "maxReplicas": int,
                "numOfHosts": int,
                "idleTimeoutSeconds": int,
                "rayStartParams": {str: str},
                "template": TEMPLATE,
            }
        ],
    },
}
NEEDED = {
    "spec.headGroupSpec": {"template"},
    "spec.gcsFaultToleranceOptions": {"redisAddress"},
    "spec.workerGroupSpecs.0": {"groupName", "minReplicas", "maxReplicas", "template"},
}


def problems(resource: Mapping[str, Any]) -> list[str]:
    """What the operator would not know, or would refuse; empty: nothing."""
    found = [*_problems(resource, CLUSTER, "")]
    groups = [resource["spec"]["headGroupSpec"], *resource["spec"].get("workerGroupSpecs", ())]
    for index, group in enumerate(groups):
        for container in group["template"]["spec"]["containers"]:
            found += _problems(container, CONTAINER, f"containers of group {index}")
    for place, names in NEEDED.items():
        at: Any = resource
        for name in place.split("."):
            at = at[int(name)] if name.isdigit() else at.get(name, {})
        found += [f"{place}.{name} is missing" for name in sorted(names - set(at or names))]
    return found


def _problems(value: Any, form: Any, place: str) -> Iterator[str]:
    if isinstance(form, set):
        if value not in form:
            yield f"{place}: {value!r} is none of {sorted(form)}"
    elif isinstance(form, list):
        for index, one in enumerate(value):
            yield from _problems(one, form[0], f"{place}.{index}")
    elif isinstance(form, dict):
        if not isinstance(value, Mapping):
            yield f"{place}: {value!r} is no mapping"
            return
        for name, one in value.items():
            if name in form:
                yield from _problems(one, form[name], f"{place}.{name}".lstrip("."))
            elif str in form:
                yield from _problems(one, form[str], f"{place}.{name}")
            else:
                yield f"{place}.{name} is not known".lstrip(".")
    elif type(value) is not form:
        yield f"{place}: {value!r} is no {form.__name__}"
