{{- /* Names, labels and places. */ -}}
{{- define "fax.name" -}}
{{- .Values.nameOverride | default .Chart.Name | trunc 63 | trimAll "-_" }}
{{- end }}

{{- /* A name without dots, since it is a Service's too, and of at most 50 characters, so that with
what is appended it still names a pod's host. What two releases, or two aliases in a parent chart,
would have in common once it is cut has a checksum instead of its end. An alias is left out only
where the release has that name and no longer one, which may have other aliases in it too. */ -}}
{{- define "fax.fullname" -}}
{{- $name := include "fax.name" . }}
{{- $aliased := ne .Chart.Name "asterisk-fax-exporter" }}
{{- if .Values.fullnameOverride }}{{ $name = .Values.fullnameOverride }}
{{- else if ternary (eq $name .Release.Name) (contains $name .Release.Name) $aliased }}{{ $name = .Release.Name }}
{{- else }}{{ $name = printf "%s-%s" .Release.Name $name }}
{{- end }}
{{- $whole := $name | lower | replace "." "-" | replace "_" "-" }}
{{- $name = $whole | trunc 50 }}
{{- if and (ne $name $whole) (not .Values.fullnameOverride) (or $aliased (gt (len .Release.Name) 50)) }}
{{- $name = printf "%s-%s" ($whole | trunc 41 | trimAll "-") ($whole | sha256sum | trunc 8) }}
{{- end }}
{{- $name = regexReplaceAll "-+$" $name "" }}
{{- if not (regexMatch "^[a-z]" $name) }}
{{- fail (printf "%s cannot name a Service, which begins with a letter: set fullnameOverride" $name) }}
{{- end }}
{{- $name }}
{{- end }}

{{- define "fax.namespace" -}}
{{- .Values.namespaceOverride | default .Release.Namespace }}
{{- end }}

{{- /* A value of YAML that may have templates in it; takes the chart's root and the value. */ -}}
{{- define "fax.tpl" -}}
{{- tpl (toYaml (index . 1)) (index . 0) }}
{{- end }}

{{- /* Of several maps each key as the first has it that has it; `merge` would mix what is below. */ -}}
{{- define "fax.over" -}}
{{- $made := dict }}
{{- range reverse . }}
{{- range $key, $value := . }}{{ $_ := set $made $key $value }}{{ end }}
{{- end }}
{{- toYaml $made }}
{{- end }}

{{- /* Never more: what selects pods cannot be changed by an upgrade. */ -}}
{{- define "fax.selector" -}}
app.kubernetes.io/name: {{ include "fax.name" . | quote }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end }}

{{- /* Labels of the user, none of them one that selects; takes root, the value and its name. */ -}}
{{- define "fax.ownLabels" -}}
{{- $root := index . 0 }}
{{- $given := index . 1 }}
{{- $name := index . 2 }}
{{- range $key, $_ := include "fax.selector" $root | fromYaml }}
{{- if hasKey $given $key }}
{{- fail (printf "%s has %s, by which pods are found: set nameOverride, or leave it out" $name $key) }}
{{- end }}
{{- end }}
{{- include "fax.tpl" (list $root $given) }}
{{- end }}

{{- define "fax.labels" -}}
{{- $chart := printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimAll "-_." }}
{{- $made := dict "app.kubernetes.io/version" .Chart.AppVersion "app.kubernetes.io/managed-by" .Release.Service "helm.sh/chart" $chart }}
{{- $common := include "fax.ownLabels" (list . .Values.commonLabels "commonLabels") | fromYaml }}
{{- merge (dict) (include "fax.selector" . | fromYaml) $common $made | toYaml }}
{{- end }}

{{- /* Takes root, and where they are not those of all: name, namespace, labels, annotations. */ -}}
{{- define "fax.metadata" -}}
{{- $root := .root -}}
name: {{ .name | default (include "fax.fullname" $root) | quote }}
namespace: {{ .namespace | default (include "fax.namespace" $root) | quote }}
{{- $labels := include "fax.tpl" (list $root (.labels | default dict)) | fromYaml }}
labels: {{- merge (dict) $labels (include "fax.labels" $root | fromYaml) | toYaml | nindent 2 }}
{{- with merge (dict) (.annotations | default dict) ($root.Values.commonAnnotations | default dict) }}
annotations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- /* Of what Prometheus' operator and Grafana's sidecar find; takes root, and where they are not
those of all: suffix of the name, namespace, labels, annotations. In another namespace two releases
may meet that have one name. */ -}}
{{- define "fax.monitoringMetadata" -}}
{{- $own := include "fax.namespace" .root }}
{{- $namespace := .namespace | default .root.Values.monitoring.namespace | default $own }}
{{- $name := include "fax.fullname" .root }}
{{- if ne $namespace $own }}{{ $name = printf "%s.%s" $own $name }}{{ end }}
{{- if .suffix }}{{ $name = printf "%s-%s" $name .suffix }}{{ end }}
{{- include "fax.metadata" (dict "root" .root "name" $name "namespace" $namespace "labels" .labels "annotations" .annotations) }}
{{- end }}

{{- /* Where the pods are, for a monitor that is elsewhere. */ -}}
{{- define "fax.namespaceSelector" -}}
{{- $own := include "fax.namespace" . }}
{{- if ne $own (.Values.monitoring.namespace | default $own) -}}
namespaceSelector:
  matchNames: [{{ $own | quote }}]
{{- end }}
{{- end }}

{{- define "fax.host" -}}
{{ include "fax.fullname" . }}.{{ include "fax.namespace" . }}.svc
{{- end }}

{{- define "fax.tls" -}}
{{- if or (.Values.webConfig.content | default dict).tls_server_config (eq .Values.webConfig.scheme "https") }}true{{ end }}
{{- end }}

{{- define "fax.scheme" -}}
{{ if include "fax.tls" . }}https{{ else }}http{{ end }}
{{- end }}

{{- define "fax.amiSecret" -}}
{{- if and .Values.secret.existingSecret .Values.secret.values }}
{{- fail "secret.existingSecret and secret.values are both set, and only one of them can hold" }}
{{- end }}
{{- if .Values.secret.existingSecret }}{{ tpl .Values.secret.existingSecret . }}
{{- else if .Values.secret.values }}{{ include "fax.fullname" . }}-ami
{{- end }}
{{- end }}

{{- define "fax.webSecret" -}}
{{- if and .Values.webConfig.existingSecret .Values.webConfig.content }}
{{- fail "webConfig.existingSecret and webConfig.content are both set, and only one of them can hold" }}
{{- end }}
{{- if .Values.webConfig.existingSecret }}{{ tpl .Values.webConfig.existingSecret . }}
{{- else if .Values.webConfig.content }}{{ include "fax.fullname" . }}-web
{{- end }}
{{- end }}
