{{- /* The exporter itself, as a container of the pod. */ -}}
{{- define "fax.container" -}}
{{- $sharded := gt (int .Values.shards) 1 -}}
{{- $type := dig "tls_server_config" "client_auth_type" "" (.Values.webConfig.content | default dict) }}
{{- if and (eq $type "RequireAndVerifyClientCert") (eq .Values.probes.handler "http") }}
{{- fail "webConfig.content demands a certificate of every client, and the kubelet has none: set probes.handler to tcp or exec" }}
{{- end }}
{{- if and (ne .Values.probes.readinessPath "/-/healthy") (ne .Values.probes.handler "http") }}
{{- fail (printf "probes.readinessPath is %s, for which the kubelet must ask by HTTP, and probes.handler is %s: leave one of them out" .Values.probes.readinessPath .Values.probes.handler) }}
{{- end }}
{{- $byPeer := has "--metrics.peer-label" .Values.extraArgs }}
{{- range .Values.extraEnv }}
{{- if eq .name "FAX_EXPORTER_METRICS_PEER_LABEL" }}{{ $byPeer = true }}{{ end }}
{{- if and $sharded (eq .name "SHARD") }}
{{- fail "extraEnv has SHARD, which says to each of several shards which one it is: take another name" }}
{{- end }}
{{- end -}}
name: exporter
image: {{ include "fax.image" . | quote }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
args:
  # Each shard has a file of its own: nothing here says how many there are, since all would be
  # restarted if that changed.
  - --config.file=/etc/asterisk-fax-exporter/config/exporter{{ if $sharded }}-$(SHARD){{ end }}.yml
  {{- if include "fax.webSecret" . }}
  - --web.config.file=/etc/asterisk-fax-exporter/web/web.yml
  {{- end }}
  {{- if .Values.persistence.enabled }}
  - --history.file=/var/lib/asterisk-fax-exporter/faxes.db
  {{- if $byPeer }}
  - --metrics.peer-file=/var/lib/asterisk-fax-exporter/peers.json
  {{- end }}
  {{- end }}
  {{- with .Values.extraArgs }}
  {{- include "fax.tpl" (list $ .) | nindent 2 }}
  {{- end }}
{{- if or $sharded .Values.extraEnv }}
env:
  {{- if $sharded }}
  - name: SHARD
    valueFrom:
      fieldRef:
        fieldPath: metadata.labels['apps.kubernetes.io/pod-index']
  {{- end }}
  {{- with .Values.extraEnv }}
  {{- include "fax.tpl" (list $ .) | nindent 2 }}
  {{- end }}
{{- end }}
{{- with .Values.extraEnvFrom }}
envFrom: {{- include "fax.tpl" (list $ .) | nindent 2 }}
{{- end }}
ports:
  - name: http
    containerPort: 10329
startupProbe: {{- include "fax.probe" (list . "/-/healthy" .Values.probes.startup) | nindent 2 }}
livenessProbe: {{- include "fax.probe" (list . "/-/healthy" .Values.probes.liveness) | nindent 2 }}
readinessProbe: {{- include "fax.probe" (list . .Values.probes.readinessPath .Values.probes.readiness) | nindent 2 }}
{{- with .Values.lifecycle }}
lifecycle: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.resources }}
resources: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.securityContext }}
securityContext: {{- toYaml . | nindent 2 }}
{{- end }}
volumeMounts:
  - name: config
    mountPath: /etc/asterisk-fax-exporter/config
    readOnly: true
  {{- if include "fax.amiSecret" . }}
  - name: secrets
    mountPath: /etc/asterisk-fax-exporter/secrets
    readOnly: true
  {{- end }}
  {{- if include "fax.webSecret" . }}
  - name: web
    mountPath: /etc/asterisk-fax-exporter/web
    readOnly: true
  {{- end }}
  {{- if .Values.webConfig.tlsSecret }}
  - name: tls
    mountPath: /etc/asterisk-fax-exporter/tls
    readOnly: true
  {{- end }}
  {{- if .Values.persistence.enabled }}
  - name: data
    mountPath: /var/lib/asterisk-fax-exporter
  {{- end }}
  {{- with .Values.extraVolumeMounts }}
  {{- include "fax.tpl" (list $ .) | nindent 2 }}
  {{- end }}
{{- end }}
