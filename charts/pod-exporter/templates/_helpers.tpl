{{- define "pod-exporter.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "pod-exporter.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 63 | trimSuffix "-" }}
{{- else if contains (include "pod-exporter.name" .) .Release.Name }}
{{- .Release.Name | trunc 63 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name (include "pod-exporter.name" .) | trunc 63 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- define "pod-exporter.namespace" -}}
{{- default .Release.Namespace .Values.namespaceOverride }}
{{- end }}

{{- define "pod-exporter.serviceAccount" -}}
{{- if and .Values.rbac.create (not .Values.serviceAccount.create) (not .Values.serviceAccount.name) }}
{{- fail "serviceAccount.name: name the account that gets the rights, or let the chart create it" }}
{{- end }}
{{- default (ternary (include "pod-exporter.fullname" .) "default" .Values.serviceAccount.create) .Values.serviceAccount.name }}
{{- end }}

{{- define "pod-exporter.selector" -}}
{{- toYaml (dict "app.kubernetes.io/name" (include "pod-exporter.name" .) "app.kubernetes.io/instance" .Release.Name) }}
{{- end }}

{{- /* Of the pod of `helm test`: the Service must not lead to it */}}
{{- define "pod-exporter.testSelector" -}}
{{- $name := printf "%s-test" (include "pod-exporter.name" .) }}
{{- toYaml (dict "app.kubernetes.io/name" $name "app.kubernetes.io/instance" .Release.Name) }}
{{- end }}

{{- define "pod-exporter.ownLabels" -}}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/component: metrics
app.kubernetes.io/part-of: pod-exporter
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- /* Of every object */}}
{{- define "pod-exporter.labels" -}}
{{- include "pod-exporter.labelsWith" (list . dict) }}
{{- end }}

{{- /* Of an object that has labels of its own: (list root labels). What selects stays as it is */}}
{{- define "pod-exporter.labelsWith" -}}
{{- $root := first . }}
{{- $own := include "pod-exporter.ownLabels" $root | fromYaml }}
{{- $selector := include "pod-exporter.selector" $root | fromYaml }}
{{- toYaml (mergeOverwrite (dict) $own $root.Values.commonLabels (last .) $selector) }}
{{- end }}

{{- /* A name that is there twice would be refused */}}
{{- define "pod-exporter.pullSecrets" -}}
{{- $secrets := list }}
{{- range concat .Values.global.imagePullSecrets .Values.imagePullSecrets }}
{{- $secrets = append $secrets (ternary (dict "name" .) . (kindIs "string" .)) }}
{{- end }}
{{- with uniq $secrets }}
{{- toYaml . }}
{{- end }}
{{- end }}

{{- /* "true" where the Service leads to the exporter itself, not to a proxy before it */}}
{{- define "pod-exporter.direct" -}}
{{- has (toString .Values.service.targetPort) (list "metrics" "9873") }}
{{- end }}

{{- /* Number of the pod's port that the Service leads to; empty if no container of the values has a port of that name */}}
{{- define "pod-exporter.podPort" -}}
{{- $target := toString .Values.service.targetPort }}
{{- if eq (include "pod-exporter.direct" .) "true" }}9873
{{- else if regexMatch "^[0-9]+$" $target }}
{{- $target }}
{{- else }}
{{- range concat .Values.extraContainers .Values.extraInitContainers }}
{{- range .ports }}
{{- if eq (toString .name) $target }}
{{- .containerPort }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{- define "pod-exporter.image" -}}
{{- $image := .Values.image }}
{{- $registry := default $image.registry .Values.global.imageRegistry }}
{{- $name := ternary (printf "%s/%s" $registry $image.repository) $image.repository (ne $registry "") }}
{{- if $image.digest }}
{{- printf "%s@%s" $name $image.digest }}
{{- else }}
{{- printf "%s:%s" $name (default .Chart.AppVersion $image.tag) }}
{{- end }}
{{- end }}

{{- /* What the settings say, with the defaults that decide on rights: {namespaces, events, kubelet} */}}
{{- define "pod-exporter.reads" -}}
{{- $settings := .Values.settings }}
namespaces: {{ dig "kube" "namespaces" list $settings | toJson }}
events: {{ dig "events" "enabled" true $settings }}
kubelet: {{ dig "kubelet" "probes" false $settings }}
{{- end }}

{{- /* Twice the scrape interval and 10 s: a series must have been scraped at 0 before it shows its value */}}
{{- define "pod-exporter.birthHold" -}}
{{- $interval := .Values.scrapeInterval }}
{{- $seconds := trimSuffix "s" $interval }}
{{- if hasSuffix "m" $interval }}
{{- $seconds = trimSuffix "m" $interval | int | mul 60 }}
{{- end }}
{{- if gt (int $seconds) 240 }}
{{- fail "scrapeInterval: at most 4m, because Prometheus forgets a series after five minutes" }}
{{- end }}
{{- printf "%ds" (add (mul 2 (int $seconds)) 10) }}
{{- end }}

{{- define "pod-exporter.checkpointFolder" -}}
/var/lib/pod-exporter
{{- end }}

{{- /* The checkpoint must not be written less often than the birth-hold lasts; by itself the exporter takes 60 s */}}
{{- define "pod-exporter.settings" -}}
{{- $ledger := merge (dict) (default dict .Values.settings.ledger) (dict "birth_hold" (include "pod-exporter.birthHold" .)) }}
{{- $own := dict "ledger" $ledger }}
{{- if ne .Values.checkpoint.volume "none" }}
{{- $file := printf "%s/checkpoint" (include "pod-exporter.checkpointFolder" .) }}
{{- $state := merge (dict "checkpoint_file" $file) (default dict .Values.settings.state) }}
{{- if and (not (dig "ledger" "birth_hold" "" .Values.settings)) (lt ($ledger.birth_hold | trimSuffix "s" | int) 60) }}
{{- $state = merge $state (dict "checkpoint_interval" $ledger.birth_hold) }}
{{- end }}
{{- $own = set $own "state" $state }}
{{- end }}
{{- toYaml (merge $own .Values.settings) }}
{{- end }}

{{- define "pod-exporter.ownRules" -}}
- apiGroups: [""]
  resources: [pods{{ if .events }}, events{{ end }}]
  verbs: [list, watch]
- apiGroups: [apps]
  resources: [replicasets]
  verbs: [list, watch]
- apiGroups: [batch]
  resources: [jobs]
  verbs: [list, watch]
{{- end }}

{{- define "pod-exporter.nodeRules" -}}
- apiGroups: [""]
  resources: [nodes]
  verbs: [list, watch]
- apiGroups: [""]
  resources: [nodes/metrics]
  verbs: [get]
{{- end }}
