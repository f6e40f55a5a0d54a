{{- /* How the kubelet asks; takes the chart's root, the path and what is said of the times. */ -}}
{{- define "fax.probe" -}}
{{- $root := index . 0 }}
{{- if eq $root.Values.probes.handler "tcp" -}}
tcpSocket:
  port: http
{{- else if eq $root.Values.probes.handler "exec" -}}
exec:
  command:
    - /opt/fax-exporter/bin/asterisk-fax-exporter
    - --health-check
{{- else -}}
httpGet:
  path: {{ index . 1 | quote }}
  port: http
  scheme: {{ include "fax.scheme" $root | upper }}
{{- end }}
{{- with index . 2 }}
{{ toYaml . }}
{{- end }}
{{- end }}
