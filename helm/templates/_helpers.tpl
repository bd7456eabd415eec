{{- define "autoreview.fullname" -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- $whole := ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) -}}
{{- default $whole .Values.fullnameOverride | trunc 52 | trimSuffix "-" -}}
{{- end -}}

{{/* What a selector goes by; never changes. Takes (list $ component). */}}
{{- define "autoreview.selector" -}}
{{- $ := index . 0 -}}
app.kubernetes.io/name: {{ default $.Chart.Name $.Values.nameOverride | trunc 63 | trimSuffix "-" | quote }}
app.kubernetes.io/instance: {{ $.Release.Name | quote }}
{{- with index . 1 }}
app.kubernetes.io/component: {{ . | quote }}
{{- end }}
{{- end -}}

{{/* Takes (list $ component). */}}
{{- define "autoreview.labels" -}}
{{- $ := index . 0 -}}
{{ include "autoreview.selector" . }}
app.kubernetes.io/version: {{ $.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ $.Release.Service | quote }}
app.kubernetes.io/part-of: autoreview
helm.sh/chart: {{ printf "%s-%s" $.Chart.Name $.Chart.Version | replace "+" "_" | quote }}
{{- end -}}

{{/* Name, namespace and labels of an object. Takes (list $ component suffix-of-the-name). */}}
{{- define "autoreview.metadata" -}}
{{- $ := index . 0 -}}
name: {{ printf "%s%s" (include "autoreview.fullname" $) (index . 2) | quote }}
namespace: {{ $.Release.Namespace | quote }}
labels:
  {{- include "autoreview.labels" (list $ (index . 1)) | nindent 2 }}
{{- end -}}

{{- define "autoreview.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ default .Chart.AppVersion .Values.image.tag }}
{{- end -}}
{{- end -}}

{{- define "autoreview.serviceAccount" -}}
{{- $own := ternary (include "autoreview.fullname" .) "default" .Values.serviceAccount.create -}}
{{- default $own .Values.serviceAccount.name -}}
{{- end -}}

{{- define "autoreview.secret" -}}
{{- default (include "autoreview.fullname" .) .Values.secrets.existingSecret -}}
{{- end -}}

{{- define "autoreview.rules" -}}
{{- default (printf "%s-rules" (include "autoreview.fullname" .)) .Values.rules.existingConfigMap -}}
{{- end -}}

{{/* The ConfigMap of the shadow rules; empty without any. */}}
{{- define "autoreview.shadowRules" -}}
{{- $own := ternary (printf "%s-shadow-rules" (include "autoreview.fullname" .)) "" (not (empty .Values.shadowRules.files)) -}}
{{- default $own .Values.shadowRules.existingConfigMap -}}
{{- end -}}

{{- define "autoreview.publicUrl" -}}
{{- $host := and .Values.ingress.enabled .Values.ingress.host -}}
{{- default (ternary (printf "https://%s" $host) "" (not (empty $host))) .Values.publicUrl -}}
{{- end -}}

{{/* The seconds of a duration, as service/domain/duration.py has it. */}}
{{- define "autoreview.seconds" -}}
{{- $text := . -}}
{{- $seconds := 0 -}}
{{- range $unit, $length := dict "d" 86400 "h" 3600 "m" 60 "s" 1 -}}
{{- $seconds = regexFind (printf "[0-9]+%s" $unit) $text | trimSuffix $unit | atoi | mul $length | add $seconds -}}
{{- end -}}
{{- $seconds -}}
{{- end -}}

{{/* How many pods of a component there are at least. Takes (list $ component). */}}
{{- define "autoreview.replicas" -}}
{{- $values := index (index . 0).Values (index . 1) -}}
{{- $scaled := dig "autoscaling" "enabled" false $values -}}
{{- ternary (dig "autoscaling" "minReplicas" 0 $values) $values.replicas $scaled | int -}}
{{- end -}}

{{/* The keys of the Secret that are used, as {name of the value: key}; a source's is named SOURCE_<NAME>. */}}
{{- define "autoreview.keys" -}}
{{- $keys := dict -}}
{{- range $name, $key := .Values.secrets.keys -}}
{{- $given := or $.Values.secrets.existingSecret (hasKey $.Values.secrets.values $name) -}}
{{- if and $key $given -}}{{- $_ := set $keys $name $key -}}{{- end -}}
{{- end -}}
{{- range $name, $key := .Values.secrets.sources -}}
{{- $_ := set $keys (printf "SOURCE_%s" ($name | upper)) $key -}}
{{- end -}}
{{- toJson $keys -}}
{{- end -}}
