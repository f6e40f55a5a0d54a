{{- /* The pod of a Deployment or StatefulSet, and what it needs beside it. */ -}}
{{- define "fax.account" -}}
{{- with .Values.serviceAccount }}
{{- if .name }}{{ tpl .name $ }}{{ else if .create }}{{ include "fax.fullname" $ }}{{ end }}
{{- end }}
{{- end }}

{{- define "fax.claim" -}}
{{- with .Values.persistence -}}
accessModes: {{- toYaml .accessModes | nindent 2 }}
{{- with .storageClass }}
storageClassName: {{ eq . "-" | ternary "" . | quote }}
{{- end }}
resources:
  requests:
    storage: {{ .size | quote }}
{{- end }}
{{- end }}

{{- /* Without the ids of values.yaml where OpenShift gives each namespace its own. */ -}}
{{- define "fax.podSecurity" -}}
{{- $security := deepCopy (.Values.podSecurityContext | default dict) }}
{{- if .Capabilities.APIVersions.Has "security.openshift.io/v1" }}
{{- range list "runAsUser" "runAsGroup" "fsGroup" }}
{{- if eq (int (get $security .)) 10329 }}{{ $_ := unset $security . }}{{ end }}
{{- end }}
{{- end }}
{{- with $security }}{{ toYaml . }}{{ end }}
{{- end }}

{{- /* What is read again only at a start. */ -}}
{{- define "fax.podAnnotations" -}}
{{- $annotations := merge (dict) (.Values.podAnnotations | default dict) (.Values.commonAnnotations | default dict) }}
{{- if .Values.restartOnChange }}
{{- $read := print (include "fax.config" (list . (keys (.Values.targets | default dict)))) (toJson .Values.secret.values) }}
{{- if gt (int .Values.shards) 1 }}{{ $read = print $read .Values.shards }}{{ end }}
{{- $_ := set $annotations "checksum/config" (sha256sum $read) }}
{{- end }}
{{- with $annotations }}{{ toYaml . }}{{ end }}
{{- end }}

{{- define "fax.pod" -}}
{{- $sharded := gt (int .Values.shards) 1 -}}
metadata:
  # Not the version: another chart alone is no reason to restart, and to lose the counters.
  {{- $own := include "fax.ownLabels" (list . .Values.podLabels "podLabels") | fromYaml }}
  {{- $common := include "fax.tpl" (list . .Values.commonLabels) | fromYaml }}
  labels: {{- merge (dict) (include "fax.selector" . | fromYaml) $own $common | toYaml | nindent 4 }}
  {{- with include "fax.podAnnotations" . }}
  annotations: {{- . | nindent 4 }}
  {{- end }}
spec:
  {{- with include "fax.account" . }}
  serviceAccountName: {{ . | quote }}
  {{- end }}
  automountServiceAccountToken: {{ .Values.serviceAccount.automount }}
  enableServiceLinks: false
  {{- if .Values.hostNetwork }}
  hostNetwork: true
  {{- end }}
  {{- with .Values.dnsPolicy | default (.Values.hostNetwork | ternary "ClusterFirstWithHostNet" "") }}
  dnsPolicy: {{ . }}
  {{- end }}
  {{- with .Values.dnsConfig }}
  dnsConfig: {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.hostAliases }}
  hostAliases: {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with include "fax.pullSecrets" . }}
  imagePullSecrets: {{- . | nindent 4 }}
  {{- end }}
  {{- range $field := list "priorityClassName" "runtimeClassName" "schedulerName" }}
  {{- with index $.Values $field }}
  {{ $field }}: {{ . | quote }}
  {{- end }}
  {{- end }}
  {{- if not (kindIs "invalid" .Values.terminationGracePeriodSeconds) }}
  terminationGracePeriodSeconds: {{ int .Values.terminationGracePeriodSeconds }}
  {{- end }}
  {{- with include "fax.podSecurity" . }}
  securityContext: {{- . | nindent 4 }}
  {{- end }}
  {{- with .Values.initContainers }}
  initContainers: {{- include "fax.tpl" (list $ .) | nindent 4 }}
  {{- end }}
  containers:
    - {{- include "fax.container" . | nindent 6 }}
    {{- with .Values.extraContainers }}
    {{- include "fax.tpl" (list $ .) | nindent 4 }}
    {{- end }}
  volumes:
    - name: config
      {{- if $sharded }}
      # Those that more shards would have are missing; that the pod knows of them already is why it
      # goes on when there are more.
      projected:
        sources:
          {{- range until (include "fax.places" . | int) }}
          - configMap:
              name: {{ include "fax.configMap" (list $ .) | quote }}
              optional: true
              items: [{key: exporter.yml, path: exporter-{{ . }}.yml}]
          {{- end }}
      {{- else }}
      configMap:
        name: {{ include "fax.fullname" . | quote }}
      {{- end }}
    {{- range $name, $secret := dict "secrets" (include "fax.amiSecret" .) "web" (include "fax.webSecret" .) "tls" (tpl (.Values.webConfig.tlsSecret | default "") .) }}
    {{- with $secret }}
    - name: {{ $name | quote }}
      secret:
        secretName: {{ . | quote }}
        defaultMode: 0440
    {{- end }}
    {{- end }}
    {{- if and .Values.persistence.enabled (not $sharded) }}
    - name: data
      persistentVolumeClaim:
        claimName: {{ tpl (.Values.persistence.existingClaim | default "") . | default (include "fax.fullname" .) | quote }}
    {{- end }}
    {{- with .Values.extraVolumes }}
    {{- include "fax.tpl" (list $ .) | nindent 4 }}
    {{- end }}
  {{- range $field := list "nodeSelector" "tolerations" }}
  {{- with index $.Values $field }}
  {{ $field }}: {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- end }}
  {{- with .Values.affinity }}
  affinity: {{- include "fax.tpl" (list $ .) | nindent 4 }}
  {{- end }}
  {{- with .Values.topologySpreadConstraints }}
  topologySpreadConstraints:
    {{- range . }}
    {{- $default := dict "labelSelector" (dict "matchLabels" (include "fax.selector" $ | fromYaml)) }}
    - {{- include "fax.over" (list . $default) | fromYaml | list $ | include "fax.tpl" | nindent 6 }}
    {{- end }}
  {{- end }}
{{- end }}
