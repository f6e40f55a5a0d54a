{{- /* The targets: their file, and how shards share them. */ -}}
{{- /* What is of one shard alone has this at the end of its name; takes root and the shard's number. */ -}}
{{- define "fax.ofShard" -}}
{{- if gt (int (index . 0).Values.shards) 1 }}shard-{{ index . 1 }}{{ end }}
{{- end }}

{{- /* The name of its ConfigMap; takes the same. */ -}}
{{- define "fax.configMap" -}}
{{- include "fax.fullname" (index . 0) }}{{ with include "fax.ofShard" . }}-{{ . }}{{ end }}
{{- end }}

{{- /* The names of the targets of each shard, by its number, as JSON. Dealt as the exporter's
--config.shard-by=rendezvous deals them: an Nth shard takes one in N, and no other target moves. */ -}}
{{- define "fax.shares" -}}
{{- $shards := until (int .Values.shards) }}
{{- $shares := dict }}
{{- range $shards }}{{ $_ := set $shares (toString .) dict }}{{ end }}
{{- range $name, $_ := .Values.targets }}
{{- $largest := "" }}
{{- $mine := 0 }}
{{- range $shards }}
{{- $digest := printf "%s/%d" $name . | sha256sum }}
{{- if gt $digest $largest }}{{ $largest = $digest }}{{ $mine = . }}{{ end }}
{{- end }}
{{- $_ := set (get $shares (toString $mine)) $name true }}
{{- end }}
{{- $names := dict }}
{{- range $shard, $share := $shares }}{{ $_ := set $names $shard (keys $share | sortAlpha) }}{{ end }}
{{- toJson $names }}
{{- end }}

{{- /* The number of places for shards in a pod, whose files are all mounted: the next ten, so that
one more shard is no other pod, and those that run go on. */ -}}
{{- define "fax.places" -}}
{{- mul 10 (div (add (int .Values.shards) 9) 10) }}
{{- end }}

{{- /* exporter.yml; takes root and the names of the targets in it. */ -}}
{{- define "fax.config" -}}
{{- $root := index . 0 }}
{{- $targets := dict }}
{{- range $name := index . 1 }}
{{- $given := index $root.Values.targets $name }}
{{- $target := deepCopy $given }}
{{- if not (or $given.secret_file $given.secret_env) }}
{{- if not (or $root.Values.secret.existingSecret (hasKey ($root.Values.secret.values | default dict) $name)) }}
{{- fail (printf "targets.%s has no secret: set secret.values.%s, secret.existingSecret, or the target's secret_file or secret_env" $name $name) }}
{{- end }}
{{- $_ := set $target "secret_file" (printf "/etc/asterisk-fax-exporter/secrets/%s" $name) }}
{{- end }}
{{- $_ := set $targets $name $target }}
{{- end }}
{{- dict "targets" $targets | toYaml }}
{{- end }}

{{- /* The bytes of data that Kubernetes takes as one object. */ -}}
{{- define "fax.most" -}}
1048576
{{- end }}

{{- /* exporter.yml of a shard, refused if it is more than fits into a ConfigMap; takes root and the
names of the targets in it. */ -}}
{{- define "fax.fittingConfig" -}}
{{- $root := index . 0 }}
{{- $text := include "fax.config" . }}
{{- $most := include "fax.most" . | int }}
{{- if gt (len $text) $most }}
{{- /* As many as it takes, and one in eight more, since no two shares are of one size. */}}
{{- $needed := div (mul (len $text) (int $root.Values.shards) 9) (mul $most 8) | add 1 }}
{{- fail (printf "targets: those of one shard, %d of them, are %d bytes, and a ConfigMap takes %d: set shards to %d or more (it is %d)" (len (index . 1)) (len $text) $most $needed (int $root.Values.shards)) }}
{{- end }}
{{- $text }}
{{- end }}
