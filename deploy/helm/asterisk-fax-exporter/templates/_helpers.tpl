{{- define "fax.name" -}}
{{- .Values.nameOverride | default .Chart.Name | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- /* A name without dots, since it is a Service's too, and of at most 50 characters, so that with
what is appended it still names a pod's host. */ -}}
{{- define "fax.fullname" -}}
{{- $name := include "fax.name" . }}
{{- if .Values.fullnameOverride }}{{ $name = .Values.fullnameOverride }}
{{- else if not (contains $name .Release.Name) }}{{ $name = printf "%s-%s" .Release.Name $name }}
{{- else }}{{ $name = .Release.Name }}
{{- end }}
{{- $name = $name | replace "." "-" | trunc 50 | trimSuffix "-" }}
{{- if not (regexMatch "^[a-z]" $name) }}
{{- fail (printf "%s cannot name a Service, which begins with a letter: set fullnameOverride" $name) }}
{{- end }}
{{- $name }}
{{- end }}

{{- define "fax.selector" -}}
app.kubernetes.io/name: {{ include "fax.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "fax.labels" -}}
{{ include "fax.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{- /* For what Prometheus' operator selects. */ -}}
{{- define "fax.monitoringLabels" -}}
{{ merge (dict) .Values.monitoring.labels (include "fax.labels" . | fromYaml) | toYaml }}
{{- end }}

{{- define "fax.host" -}}
{{ include "fax.fullname" . }}.{{ .Release.Namespace }}.svc
{{- end }}

{{- /* What tells this release from another one in the same Prometheus: on its scrapes, and in its rules. */ -}}
{{- define "fax.release" -}}
{{ .Release.Namespace }}/{{ include "fax.watcher" . }}
{{- end }}

{{- /* As what Prometheus knows the exporter: of two releases that watch the same PBXs, the first. */ -}}
{{- define "fax.watcher" -}}
{{ .Values.monitoring.pairWith | default (include "fax.fullname" .) }}
{{- end }}

{{- /* Which series the rules see: those of this release, if it has them scraped. */ -}}
{{- define "fax.watched" -}}
{{- if or .Values.monitoring.probe.enabled .Values.monitoring.serviceMonitor.enabled -}}
fax_release="{{ include "fax.release" . }}"
{{- else -}}
job!=""
{{- end }}
{{- end }}

{{- /* What must be scraped: each target, and the exporter itself. */ -}}
{{- define "fax.absent" -}}
{{- $release := include "fax.release" . }}
{{- $absent := list }}
{{- if .Values.monitoring.probe.enabled }}
{{- range keys .Values.targets | sortAlpha }}
{{- $absent = append $absent (printf "absent(up{fax_release=%q, job=%q, instance=%q})" $release $.Values.monitoring.probe.jobName .) }}
{{- end }}
{{- end }}
{{- if .Values.monitoring.serviceMonitor.enabled }}
{{- $absent = append $absent (printf "absent(up{fax_release=%q, job=%q})" $release (include "fax.name" .)) }}
{{- end }}
{{- if not $absent }}
{{- fail "monitoring.prometheusRule.absent: nothing is scraped that could be missing; set monitoring.probe.enabled or monitoring.serviceMonitor.enabled, or name your own scrapes as pbx:asterisk_fax_scrape:absent in monitoring.prometheusRule.thresholds" }}
{{- end }}
{{- join "\nor " $absent }}
{{- end }}

{{- define "fax.tls" -}}
{{- if or .Values.webConfig.content.tls_server_config (eq .Values.webConfig.scheme "https") }}true{{ end }}
{{- end }}

{{- define "fax.scheme" -}}
{{ if include "fax.tls" . }}https{{ else }}http{{ end }}
{{- end }}

{{- define "fax.amiSecret" -}}
{{- if and .Values.secret.existingSecret .Values.secret.values }}
{{- fail "secret.existingSecret and secret.values are both set, and only one of them can hold" }}
{{- end }}
{{- if .Values.secret.existingSecret }}{{ .Values.secret.existingSecret }}
{{- else if .Values.secret.values }}{{ include "fax.fullname" . }}-ami
{{- end }}
{{- end }}

{{- define "fax.webSecret" -}}
{{- if and .Values.webConfig.existingSecret .Values.webConfig.content }}
{{- fail "webConfig.existingSecret and webConfig.content are both set, and only one of them can hold" }}
{{- end }}
{{- if .Values.webConfig.existingSecret }}{{ .Values.webConfig.existingSecret }}
{{- else if .Values.webConfig.content }}{{ include "fax.fullname" . }}-web
{{- end }}
{{- end }}

{{- /* exporter.yml */ -}}
{{- define "fax.config" -}}
{{- $targets := dict }}
{{- range $name, $given := .Values.targets }}
{{- $target := deepCopy $given }}
{{- if not (or $given.secret_file $given.secret_env) }}
{{- if not (or $.Values.secret.existingSecret (hasKey $.Values.secret.values $name)) }}
{{- fail (printf "targets.%s has no secret: set secret.values.%s, secret.existingSecret, or the target's secret_file or secret_env" $name $name) }}
{{- end }}
{{- $_ := set $target "secret_file" (printf "/etc/asterisk-fax-exporter/secrets/%s" $name) }}
{{- end }}
{{- $_ := set $targets $name $target }}
{{- end }}
{{- dict "targets" $targets | toYaml }}
{{- end }}

{{- /* How the kubelet asks; takes the chart's root and the path. */ -}}
{{- define "fax.probe" -}}
{{- $root := index . 0 }}
{{- if eq $root.Values.probes.handler "tcp" -}}
tcpSocket:
  port: http
{{- else -}}
httpGet:
  path: {{ index . 1 }}
  port: http
  scheme: {{ include "fax.scheme" $root | upper }}
{{- end }}
timeoutSeconds: 5
{{- end }}

{{- /* How Prometheus gets in, in the words of both ServiceMonitor and Probe. */ -}}
{{- define "fax.access" -}}
{{- with .Values.monitoring }}
{{- with .interval }}
interval: {{ . }}
{{- end }}
{{- with .scrapeTimeout }}
scrapeTimeout: {{ . }}
{{- end }}
{{- with .basicAuth }}
basicAuth: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
{{- if include "fax.tls" . }}
tlsConfig: {{- merge (dict) .Values.monitoring.tlsConfig (dict "serverName" (include "fax.host" .)) | toYaml | nindent 2 }}
{{- end }}
{{- end }}

{{- /* A text in which links to the dashboards lead to those of this release. */ -}}
{{- define "fax.followLinks" -}}
{{ regexReplaceAll "\\bd/(asterisk-fax-[a-z0-9-]+)" .text (printf "d/${1}-%s" .suffix) }}
{{- end }}
