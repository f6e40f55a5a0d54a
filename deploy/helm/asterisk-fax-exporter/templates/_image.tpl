{{- /* The image by its name, or a word on what is wrong with that. */ -}}
{{- define "fax.image" -}}
{{- $image := .Values.image }}
{{- $registry := dig "imageRegistry" "" (.Values.global | default dict) | default $image.registry | default "" }}
{{- $value := ternary "image.registry" "global.imageRegistry" (eq $registry ($image.registry | default "")) }}
{{- $repository := $image.repository }}
{{- $host := "([A-Za-z0-9-]+(\\.[A-Za-z0-9-]+)+(:[0-9]+)?|[A-Za-z0-9-]+:[0-9]+|localhost|\\[[0-9a-fA-F:]+\\](:[0-9]+)?)" }}
{{- $path := "[a-z0-9]+((\\.|_|__|-+)[a-z0-9]+)*(/[a-z0-9]+((\\.|_|__|-+)[a-z0-9]+)*)*" }}
{{- range $name, $given := dict "image.repository" $repository $value $registry }}
{{- if contains "://" $given }}
{{- fail (printf "%s is %s, and an image has no %s://: leave that out" $name $given (splitList "://" $given | first)) }}
{{- end }}
{{- end }}
{{- if contains "@" $repository }}
{{- fail (printf "image.repository is %s, with a digest: set image.digest to %s instead" $repository (splitList "@" $repository | last)) }}
{{- end }}
{{- if regexMatch ":[^/]*$" $repository }}
{{- fail (printf "image.repository is %s, with a tag: set image.tag to %s instead" $repository (splitList ":" $repository | last | quote)) }}
{{- end }}
{{- if not (regexMatch (printf "^(%s/)?%s$" $host $path) $repository) }}
{{- fail (printf "image.repository is %s, which names no image: it has lower case letters, digits and, between them, . _ - and /" $repository) }}
{{- end }}
{{- if $registry }}
{{- if regexMatch (printf "^%s/" $host) $repository }}
{{- fail (printf "image.repository is %s, with a registry, and %s is %s: leave the registry out of image.repository" $repository $value $registry) }}
{{- end }}
{{- if not (regexMatch (printf "^(%s|[A-Za-z0-9-]+)(/%s)?$" $host $path) $registry) }}
{{- fail (printf "%s is %s, which is no registry: it is like registry.example:5000 or registry.example/mirror" $value $registry) }}
{{- end }}
{{- end }}
{{- $tag := $image.tag | default .Chart.AppVersion }}
{{- if or (contains "@" $tag) (contains "sha256:" $tag) }}
{{- fail (printf "image.tag is %s, which is a digest: set image.digest to %s instead" $tag (splitList "@" $tag | last)) }}
{{- end }}
{{- if not (regexMatch "^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$" $tag) }}
{{- fail (printf "image.tag is %s, which is no tag: it has at most 128 letters, digits, _ . and -, and begins with none of the last two" $tag) }}
{{- end }}
{{- if and $image.digest (not (regexMatch "^sha256:[0-9a-f]{64}$" $image.digest)) }}
{{- fail (printf "image.digest is %s, which is none: it is sha256: and 64 of 0-9 and a-f" $image.digest) }}
{{- end }}
{{- if $registry }}{{ $registry }}/{{ end }}{{ $repository }}
{{- if $image.digest }}@{{ $image.digest }}{{ else }}:{{ $tag }}{{ end }}
{{- end }}

{{- /* Those of all charts, by name as everybody else has them or as in a pod, and our own. */ -}}
{{- define "fax.pullSecrets" -}}
{{- $secrets := list }}
{{- range concat (dig "imagePullSecrets" list (.Values.global | default dict) | default list) (.Values.imagePullSecrets | default list) }}
{{- $secrets = append $secrets (kindIs "string" . | ternary (dict "name" .) .) }}
{{- end }}
{{- with $secrets | uniq }}{{ toYaml . }}{{ end }}
{{- end }}
