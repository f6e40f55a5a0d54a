{{- /* What Prometheus sees of this release. */ -}}
{{- /* What tells this release from another one in the same Prometheus: on its scrapes, and in its rules. */ -}}
{{- define "fax.release" -}}
{{ include "fax.namespace" . }}/{{ include "fax.watcher" . }}
{{- end }}

{{- /* As what Prometheus knows the exporter: of two releases that watch the same PBXs, the first. */ -}}
{{- define "fax.watcher" -}}
{{ .Values.monitoring.pairWith | default (include "fax.fullname" .) }}
{{- end }}

{{- /* Whether the exporter itself is scraped, by its Service or its pods. */ -}}
{{- define "fax.monitored" -}}
{{- $both := and .Values.monitoring.serviceMonitor.enabled .Values.monitoring.podMonitor.enabled }}
{{- if $both }}
{{- fail "monitoring.serviceMonitor and monitoring.podMonitor are both enabled, and would scrape every pod twice: enable one of them" }}
{{- end }}
{{- if or .Values.monitoring.serviceMonitor.enabled .Values.monitoring.podMonitor.enabled }}true{{ end }}
{{- end }}

{{- /* Which series the rules see: those of this release, if it has them scraped. */ -}}
{{- define "fax.watched" -}}
{{- if or .Values.monitoring.probe.enabled (include "fax.monitored" .) -}}
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
{{- if include "fax.monitored" . }}
{{- $absent = append $absent (printf "absent(up{fax_release=%q, job=%q})" $release (include "fax.name" .)) }}
{{- end }}
{{- if not $absent }}
{{- fail "monitoring.prometheusRule.absent: nothing is scraped that could be missing; set monitoring.probe.enabled or monitoring.serviceMonitor.enabled or monitoring.podMonitor.enabled, or name your own scrapes as pbx:asterisk_fax_scrape:absent in monitoring.prometheusRule.thresholds" }}
{{- end }}
{{- $text := join "\nor " $absent }}
{{- $most := include "fax.most" $ | int }}
{{- if gt (len $text) $most }}
{{- fail (printf "monitoring.prometheusRule.absent: asking for each of %d targets takes %d bytes, and Kubernetes about %d for all rules: leave it out, or watch them with several releases" (len $.Values.targets) (len $text) $most) }}
{{- end }}
{{- $text }}
{{- end }}

{{- define "fax.scrapeScheme" -}}
{{ .Values.monitoring.scheme | default (include "fax.scheme" .) }}
{{- end }}

{{- /* How Prometheus gets in, in the words of ServiceMonitor, PodMonitor and Probe; takes the
chart's root and which of them it is, as a value of `monitoring`. */ -}}
{{- define "fax.access" -}}
{{- $root := index . 0 }}
{{- $own := index . 1 }}
{{- with $root.Values.monitoring }}
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
{{- if eq "https" (include "fax.scrapeScheme" $root) }}
{{- $server := dict "serverName" (include "fax.host" $root) }}
tlsConfig: {{- include "fax.over" (list $own.tlsConfig $root.Values.monitoring.tlsConfig $server) | nindent 2 }}
{{- else if or $own.tlsConfig $root.Values.monitoring.tlsConfig }}
{{- fail "monitoring has a tlsConfig, and what is scraped speaks http: set webConfig.scheme to https, or monitoring.scheme if something in front of the exporter has TLS, or leave tlsConfig out" }}
{{- end }}
{{- end }}

{{- /* How a ServiceMonitor or PodMonitor scrapes; takes the chart's root and which of them it is. */ -}}
{{- define "fax.endpoint" -}}
{{- $root := index . 0 }}
{{- $own := index . 1 }}
port: http
path: /metrics
scheme: {{ include "fax.scrapeScheme" $root }}
{{- with include "fax.access" . | trim }}
{{- . | nindent 0 }}
{{- end }}
relabelings:
  - targetLabel: fax_release
    replacement: {{ include "fax.release" $root | quote }}
  # A pod that takes another's place is the same exporter, and its series are to go on.
  - targetLabel: instance
    {{- if gt (int $root.Values.shards) 1 }}
    sourceLabels: [__meta_kubernetes_pod_name]
    {{- else }}
    replacement: {{ include "fax.watcher" $root | quote }}
    {{- end }}
  {{- with $root.Values.monitoring.replica }}
  - targetLabel: replica
    replacement: {{ . | quote }}
  {{- end }}
  - action: labeldrop
    regex: pod|container|endpoint
  {{- with $own.relabelings }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- if or $root.Values.monitoring.probe.enabled $own.metricRelabelings }}
metricRelabelings:
  {{- if $root.Values.monitoring.probe.enabled }}
  # If there is just one PBX, its faxes are in /metrics too, and would raise every alert twice.
  - sourceLabels: [__name__]
    regex: (asterisk_fax_exporter|process)_.*
    action: keep
  {{- end }}
  {{- with $own.metricRelabelings }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end }}
{{- end }}

{{- /* At the end of uids and files of the dashboards, of 8 characters if nobody says which. Who has
no dashboards of this release has those of another one, or of the documents. */ -}}
{{- define "fax.suffix" -}}
{{- $given := .Values.monitoring.dashboards }}
{{- if ne $given.suffix "auto" }}{{ $given.suffix }}
{{- else if $given.enabled }}
{{- printf "%s/%s" (include "fax.namespace" .) (include "fax.fullname" .) | sha256sum | trunc 8 }}
{{- end }}
{{- end }}

{{- /* And of their titles, for people. */ -}}
{{- define "fax.titleSuffix" -}}
{{- if eq .Values.monitoring.dashboards.suffix "auto" }}
{{- printf "%s/%s" (include "fax.namespace" .) (include "fax.fullname" .) }}
{{- else }}
{{- .Values.monitoring.dashboards.suffix }}
{{- end }}
{{- end }}

{{- /* A text in which links to the dashboards lead to those of this release. */ -}}
{{- define "fax.followLinks" -}}
{{ regexReplaceAll "\\bd/(asterisk-fax-[a-z0-9-]+)" .text (printf "d/${1}-%s" .suffix) }}
{{- end }}
