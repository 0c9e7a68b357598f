"""charts/pod-exporter/values.schema.json: which values the chart takes. The settings' part comes from their model."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, TypeAlias

from exporter.settings.reference import SETTINGS, Setting
from tools.alerts import ALERTS, GROUPS, Alert

Schema: TypeAlias = dict[str, Any]

TEXT: Schema = {"type": "string"}
SWITCH: Schema = {"type": "boolean"}
OBJECT: Schema = {"type": "object"}
LIST: Schema = {"type": "array"}
OBJECTS: Schema = {"type": "array", "items": OBJECT}
TEXTS: Schema = {"type": "array", "items": TEXT}
WHOLE: Schema = {"type": "integer", "minimum": 0}
PORT: Schema = {"type": "integer", "minimum": 1, "maximum": 65535}
WORDS: Schema = {"type": "object", "additionalProperties": TEXT}
"""Labels and annotations."""
DURATION: Schema = {"type": "string", "pattern": r"^(0|([0-9]+(\.[0-9]+)?(ms|s|m|h|d))+)$"}
"""Of the exporter."""
WAIT: Schema = {
    "type": "string",
    "minLength": 1,
    "pattern": f"^(0|{''.join(f'([0-9]+{unit})?' for unit in ('y', 'w', 'd', 'h', 'm', 's', 'ms'))})$",
}
"""A duration of Prometheus: whole numbers, the largest unit first."""
PERIOD: Schema = {"type": "string", "pattern": r"^([0-9]+(\.[0-9]+)?(ms|s|m|h))+$"}
"""A duration of the Grafana Operator, which wants a unit and knows no days."""
AMOUNT: Schema = {"type": "string", "pattern": r"^(|[0-9]+(\.[0-9]+)?([kMGTPE]i?)?)$"}
"""Of bytes."""
PULL_SECRETS: Schema = {
    "type": "array",
    "items": {
        "anyOf": [
            {"type": "object", "required": ["name"], "properties": {"name": TEXT}, "additionalProperties": False},
            {"type": "string", "minLength": 1},
        ]
    },
}
"""As in a pod, or the bare names that many parent charts have."""
OPTIONAL: Mapping[str, Schema] = {"enabled": SWITCH, "namespace": TEXT, "labels": WORDS, "annotations": WORDS}
"""Of what is made for others if one wants it, and where they look for it."""
NOT_OFFERED = ("config", "web.listen_address", "kube.kubeconfig", "kube.context", "state.checkpoint_file")
"""Settings that the chart decides itself."""


def choice(*words: str) -> Schema:
    """One of these words."""
    return {"type": "string", "enum": list(words)}


def group(**properties: Schema) -> Schema:
    """Keys that are known; others are mistakes."""
    return {"type": "object", "properties": properties, "additionalProperties": False}


def others(*taken: str) -> Schema:
    """Any keys but these, which are values of their own or must stay as they are."""
    return {"type": "object", "properties": dict.fromkeys(taken, False)}


def settings() -> Schema:
    """The settings that one can give in `settings`, as in the file of --config."""
    root: Schema = group()
    for setting in SETTINGS:
        if setting.key in NOT_OFFERED:
            continue
        place = root["properties"]
        for name in setting.path[:-1]:
            place = place.setdefault(name, group())["properties"]
        place[setting.path[-1]] = {**_form(setting), "description": setting.meaning}
    return root


def _form(setting: Setting) -> Schema:
    forms = {
        "duration": DURATION,
        "list": {**TEXTS, "uniqueItems": True},
        "true|false": SWITCH,
        "number": {"type": "integer", "minimum": 1},
    }
    return forms.get(setting.form) or (choice(*setting.form.split("|")) if "|" in setting.form else TEXT)


def _alert(alert: Alert) -> Schema:
    limits = {
        name: TEXT if isinstance(value, str) else {"type": "number", "minimum": 0}
        for name, value in alert.limits.items()
    }
    severity = {"type": "string", "minLength": 1}
    return group(enabled=SWITCH, severity=severity, **{"for": WAIT}, limits=group(**limits))


def schema() -> Schema:
    """The whole schema, in the draft that all versions of Helm understand."""
    values = group(
        **{"global": {"type": "object", "properties": {"imageRegistry": TEXT, "imagePullSecrets": PULL_SECRETS}}},
        nameOverride=TEXT,
        fullnameOverride=TEXT,
        namespaceOverride=TEXT,
        commonLabels=WORDS,
        image=group(
            registry=TEXT,
            repository={"type": "string", "minLength": 1},
            tag=TEXT,
            digest={"type": "string", "pattern": "^(|sha256:[0-9a-f]{64})$"},
            pullPolicy=choice("Always", "IfNotPresent", "Never"),
        ),
        imagePullSecrets=PULL_SECRETS,
        settings=settings(),
        scrapeInterval={"type": "string", "pattern": "^[1-9][0-9]*[sm]$"},
        checkpoint=group(
            volume=choice("none", "emptyDir", "pvc"),
            sizeLimit=AMOUNT,
            pvc=group(
                existingClaim=TEXT,
                size={**AMOUNT, "minLength": 1},
                storageClass=TEXT,
                accessModes={"type": "array", "items": choice("ReadWriteOnce", "ReadWriteOncePod", "ReadWriteMany")},
                annotations=WORDS,
            ),
        ),
        serviceMonitor=group(
            **OPTIONAL,
            scrapeTimeout={"type": "string", "pattern": "^(|[1-9][0-9]*(ms|s|m))$"},
            relabelings=OBJECTS,
            metricRelabelings=OBJECTS,
            limits=others("endpoints", "namespaceSelector", "selector"),
            endpoint=others("honorLabels", "interval", "metricRelabelings", "relabelings", "scrapeTimeout"),
        ),
        prometheusRule=group(
            **OPTIONAL,
            ruleLabels=WORDS,
            runbookUrl=TEXT,
            grafanaUrl=TEXT,
            groups=group(**{name.removeprefix("pod-exporter-"): SWITCH for name in GROUPS}),
            alerts=group(**{alert.name: _alert(alert) for alert in ALERTS}),
        ),
        dashboards=group(
            **OPTIONAL,
            folder=TEXT,
            grafanaOperator=group(
                enabled=SWITCH,
                instanceSelector=OBJECT,
                allowCrossNamespaceImport=SWITCH,
                resyncPeriod=PERIOD,
            ),
        ),
        service=group(
            type=choice("ClusterIP", "NodePort", "LoadBalancer"),
            port=PORT,
            targetPort={"anyOf": [{"type": "string", "minLength": 1}, PORT]},
            labels=WORDS,
            annotations=WORDS,
            prometheusAnnotations=SWITCH,
            ipFamilyPolicy=choice("", "SingleStack", "PreferDualStack", "RequireDualStack"),
        ),
        serviceAccount=group(create=SWITCH, name=TEXT, annotations=WORDS),
        rbac=group(create=SWITCH, extraRules=OBJECTS),
        networkPolicy=group(
            enabled=SWITCH,
            **{"from": OBJECTS},
            apiServerPorts={"type": "array", "items": PORT, "minItems": 1},
            extraEgress=OBJECTS,
        ),
        **dict.fromkeys(
            ("resources", "podSecurityContext", "securityContext", "livenessProbe", "readinessProbe", "startupProbe",
             "affinity", "dnsConfig"),
            OBJECT,
        ),
        **dict.fromkeys(("podLabels", "podAnnotations", "deploymentAnnotations", "nodeSelector"), WORDS),
        **dict.fromkeys(("priorityClassName", "runtimeClassName"), TEXT),
        dnsPolicy=choice("", "ClusterFirst", "ClusterFirstWithHostNet", "Default", "None"),
        **dict.fromkeys(
            ("tolerations", "topologySpreadConstraints", "extraEnv", "extraEnvFrom", "extraVolumes",
             "extraVolumeMounts", "extraInitContainers", "extraContainers"),
            OBJECTS,
        ),
        terminationGracePeriodSeconds=WHOLE,
        revisionHistoryLimit=WHOLE,
        extraArgs={"type": "array", "items": {"type": "string", "pattern": "^--"}},
        extraManifests={"type": "array", "items": {"type": ["object", "string"]}},
    )  # fmt: skip
    return {"$schema": "http://json-schema.org/draft-07/schema#", "title": "Values of pod-exporter", **values}


def text() -> str:
    """The file."""
    return json.dumps(schema(), indent=2) + "\n"
