"""charts/pod-exporter/README.md: the values with the comments that values.yaml has beside them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import yaml

CHART = Path(__file__).parent.parent / "charts" / "pod-exporter"
_KEY = re.compile(r"( *)([A-Za-z]\w*):")
_INTRODUCTION = """\
# The chart of pod-exporter

<!-- Written by `make docs` from values.yaml; a test compares them. -->

It installs one exporter for a cluster, or for some of its namespaces, with exactly the rights that it needs.

No image is published yet. Build one, push it where your nodes pull from, and name it. Give each build a tag of its own:
a node that has an image of that tag does not pull it again.

```
TAG=$(git rev-parse --short HEAD)
make image IMAGE=registry.example.com/pod-exporter:$TAG
docker push registry.example.com/pod-exporter:$TAG
helm install pod-exporter charts/pod-exporter --namespace monitoring --create-namespace \\
  --set image.registry=registry.example.com --set-string image.tag=$TAG \\
  --set serviceMonitor.enabled=true --set serviceMonitor.labels.release=kube-prometheus-stack
helm test pod-exporter --namespace monitoring
```

- **Scraping.** With the Prometheus Operator: `serviceMonitor.enabled`; its `labels` must be those that your Prometheus
  selects by. Without: `service.prometheusAnnotations`, or the plain scrape_config that `helm install` prints. In all
  three ways `honor_labels` must be true: the label `namespace` of a series is that of the workload which it tells of. A
  Prometheus with `overrideHonorLabels` or `enforcedNamespaceLabel` breaks that, and every query with it.
- **Some namespaces only.** `--set 'settings.kube.namespaces={shop,search}'` makes a Role in each and no ClusterRole,
  except one for nodes alone with `kubelet.probes`. Each namespace must be there before the installation, and as long as
  the pods of one cannot be read, the exporter is not ready.
- **Exact probe failures.** `--set settings.kubelet.probes=true` reads them from each kubelet; see
  [exactness](../../docs/exactness.md). Where kubelets have self-signed certificates, kubeadm's default, nothing is read
  until `settings.kubelet.ca_file` has what signed them (mounted by `extraVolumes` and `extraVolumeMounts`) or
  `settings.kubelet.insecure_skip_verify` is true. `pod_exporter_probe_source{source="kubelet"}` is 1 if it works,
  `pod_exporter_kubelet_reads_total` says by its label `result` why not.
- **Restarts and upgrades.** One replica, and the old pod ends before the new one starts: two would count everything
  twice. Counters begin at 0 again, which `rate()` and `increase()` understand. With a checkpoint the new process counts
  what happened meanwhile. By default it is in an emptyDir: that outlives a crash of the container. An upgrade, a
  rollback, an eviction or a lost node make a new pod, which begins anew unless `checkpoint.volume=pvc`; then what
  happened between is not counted, and neither is what was counted and not yet scraped. With `none` that is so after
  every restart. [Exactness](../../docs/exactness.md) has the bounds.
- **Security.** The pod fits the "restricted" standard: no root, a read-only root file system (only the
  checkpoint's volume can be written), no capabilities. It reads pods, events, replicasets and jobs, and nothing else
  unless you ask for it. A proxy before it (`extraContainers`, `service.targetPort`) leaves its own port 9873 open,
  unless `networkPolicy.enabled` shuts it.
- **OpenShift** (not tested) chooses the user itself: `--set
  podSecurityContext.runAsUser=null,podSecurityContext.runAsGroup=null,podSecurityContext.fsGroup=null`. Its DNS answers
  at port 5353 of pods, which `networkPolicy.extraEgress` must let out:
  `[{ports: [{port: 5353, protocol: UDP}, {port: 5353, protocol: TCP}]}]`.

Values that make no sense, and keys that do not exist, stop the installation with a line that names them.

## Values

| Key | Default | Meaning |
|---|---|---|
"""


class Value(NamedTuple):
    """One line of the table."""

    key: str
    default: Any
    meaning: str


def values(text: str) -> Iterator[Value]:
    """Every leaf of values.yaml with its comment; an empty mapping or list is a leaf."""
    tree = yaml.safe_load(text)
    path: list[str] = []
    comment: list[str] = []
    leaf_depth: int | None = None
    for line in text.splitlines():
        if line.strip().startswith("#"):
            comment.append(line.strip().removeprefix("#").removeprefix(" -- ").strip())
            continue
        key = _KEY.match(line)
        if key is None:
            comment = []
            continue
        depth = len(key[1]) // 2
        if leaf_depth is not None and depth > leaf_depth:
            continue  # inside a default that is shown as a whole
        leaf_depth = None
        path = [*path[:depth], key[2]]
        default = tree
        for name in path:
            default = default[name]
        if not isinstance(default, dict) or not default or comment:
            leaf_depth = depth
            yield Value(".".join(path), default, " ".join(comment))
        comment = []


def text() -> str:
    """The page."""
    rows = values((CHART / "values.yaml").read_text())
    table = "".join(f"| `{row.key}` | `{json.dumps(row.default)}` | {row.meaning} |\n" for row in rows)
    return _INTRODUCTION + table
