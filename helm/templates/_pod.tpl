{{/* What web, worker, migrations and tests have in common. */}}
{{- define "autoreview.podSettings" -}}
automountServiceAccountToken: false
enableServiceLinks: false
{{- with .Values.imagePullSecrets }}
imagePullSecrets: {{ toJson . }}
{{- end }}
securityContext: {{ toJson .Values.podSecurityContext }}
{{- with .Values.nodeSelector }}
nodeSelector: {{ toJson . }}
{{- end }}
{{- with .Values.tolerations }}
tolerations: {{ toJson . }}
{{- end }}
{{- with .Values.affinity }}
affinity: {{ toJson . }}
{{- end }}
{{- with .Values.priorityClassName }}
priorityClassName: {{ . | quote }}
{{- end }}
{{- end -}}

{{- define "autoreview.containerSettings" -}}
image: {{ include "autoreview.image" . | quote }}
imagePullPolicy: {{ .Values.image.pullPolicy | quote }}
securityContext: {{ toJson .Values.securityContext }}
{{- end -}}

{{/* The migration's container: it needs the database and nothing else. */}}
{{- define "autoreview.migration" -}}
- name: migrate
  {{- include "autoreview.containerSettings" . | nindent 2 }}
  args: [migrate]
  env:
    {{- include "autoreview.secretEnv" (dict "keys" (pick (include "autoreview.keys" . | fromJson) "databaseUrl")) | trim | nindent 4 }}
    {{- with .Values.extraEnv }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  resources: {{ toJson .Values.migrations.resources }}
  volumeMounts:
    - {name: tmp, mountPath: /tmp}
    - {name: secrets, mountPath: /secrets, readOnly: true}
    {{- with .Values.extraVolumeMounts }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
{{- end -}}

{{/* AUTOREVIEW_…_FILE for each of {name: key}. */}}
{{- define "autoreview.secretEnv" -}}
{{- range $name, $key := .keys }}
{{- /* `snakecase` would divide a source's name before its digits. */}}
{{- $variable := ternary $name ($name | snakecase | upper) (hasPrefix "SOURCE_" $name) }}
- {name: {{ printf "AUTOREVIEW_%s_FILE" $variable | quote }}, value: {{ printf "/secrets/%s" $key | quote }}}
{{- end }}
{{- end -}}

{{- define "autoreview.env" -}}
- {name: AUTOREVIEW_MODE, value: {{ .Values.mode | quote }}}
- {name: AUTOREVIEW_RULES_DIR, value: /rules}
- {name: AUTOREVIEW_HOST, value: {{ .Values.host | quote }}}
- {name: AUTOREVIEW_PROLIFIC_URL, value: {{ .Values.prolific.url | quote }}}
- {name: AUTOREVIEW_PROLIFIC_CONCURRENCY, value: {{ .Values.prolific.concurrency | int64 | quote }}}
- {name: AUTOREVIEW_SWEEP_EVERY, value: {{ .Values.sweepEvery | quote }}}
- {name: AUTOREVIEW_INBOX_RETENTION, value: {{ .Values.inboxRetention | quote }}}
- {name: AUTOREVIEW_LOG_LEVEL, value: {{ .Values.logLevel | quote }}}
{{- with include "autoreview.publicUrl" . }}
- {name: AUTOREVIEW_PUBLIC_URL, value: {{ . | quote }}}
{{- end }}
{{- with .Values.studies }}
- {name: AUTOREVIEW_STUDIES, value: {{ join "," . | quote }}}
{{- end }}
{{- range $name, $limit := .Values.limits }}
{{- if not (kindIs "invalid" $limit) }}
- {name: {{ printf "AUTOREVIEW_LIMIT_%s" ($name | snakecase | upper) | quote }}, value: {{ $limit | int64 | quote }}}
{{- end }}
{{- end }}
{{- with include "autoreview.shadowRules" . }}
- {name: AUTOREVIEW_SHADOW_RULES_DIR, value: /shadow-rules}
{{- end }}
{{- include "autoreview.secretEnv" (dict "keys" (include "autoreview.keys" . | fromJson)) }}
{{- end -}}

{{/* A Secret's volume with these {name: key}. Takes (list $ keys). */}}
{{- define "autoreview.secretVolume" -}}
- name: secrets
  secret:
    secretName: {{ include "autoreview.secret" (index . 0) | quote }}
    defaultMode: 0440
    items:
      {{- range $name, $key := index . 1 }}
      - {key: {{ $key | quote }}, path: {{ $key | quote }}}
      {{- end }}
{{- end -}}

{{- define "autoreview.tmpVolume" -}}
- name: tmp
  emptyDir: {sizeLimit: 64Mi}
{{- end -}}

{{- define "autoreview.probe" -}}
{httpGet: {path: {{ index . 0 | quote }}, port: http}, {{ toJson (index . 1) | trimPrefix "{" }}
{{- end -}}

{{/* One half of the service. Takes (list $ component). */}}
{{- define "autoreview.deployment" -}}
{{- $ := index . 0 -}}
{{- $component := index . 1 -}}
{{- $values := index $.Values $component -}}
apiVersion: apps/v1
kind: Deployment
metadata:
  {{- include "autoreview.metadata" (list $ $component (printf "-%s" $component)) | nindent 2 }}
spec:
  {{- if not (dig "autoscaling" "enabled" false $values) }}
  replicas: {{ $values.replicas | int64 }}
  {{- end }}
  revisionHistoryLimit: 3
  strategy:
    type: RollingUpdate
    rollingUpdate: {maxUnavailable: 0, maxSurge: 1}
  selector:
    matchLabels:
      {{- include "autoreview.selector" . | nindent 6 }}
  template:
    metadata:
      labels:
        {{- toYaml (merge (include "autoreview.labels" . | fromYaml) $.Values.podLabels) | nindent 8 }}
      {{- with $.Values.podAnnotations }}
      annotations: {{ toJson . }}
      {{- end }}
    spec:
      serviceAccountName: {{ include "autoreview.serviceAccount" $ | quote }}
      {{- include "autoreview.podSettings" $ | nindent 6 }}
      terminationGracePeriodSeconds: {{ $.Values.terminationGracePeriodSeconds | int64 }}
      {{- with $.Values.topologySpread }}
      topologySpreadConstraints:
        - maxSkew: 1
          topologyKey: kubernetes.io/hostname
          whenUnsatisfiable: {{ . | quote }}
          labelSelector:
            matchLabels:
              {{- include "autoreview.selector" (list $ $component) | nindent 14 }}
      {{- end }}
      {{- if eq $.Values.migrations.mode "init" }}
      initContainers:
        {{- include "autoreview.migration" $ | nindent 8 }}
      {{- end }}
      containers:
        - name: {{ $component | quote }}
          {{- include "autoreview.containerSettings" $ | nindent 10 }}
          args: [serve, --only, {{ $component | quote }}]
          env:
            {{- include "autoreview.env" $ | nindent 12 }}
            {{- with $.Values.extraEnv }}
            {{- toYaml . | nindent 12 }}
            {{- end }}
          ports:
            - {name: http, containerPort: 8080}
          startupProbe: {{ include "autoreview.probe" (list "/livez" $.Values.probes.startup) }}
          livenessProbe: {{ include "autoreview.probe" (list "/livez" $.Values.probes.liveness) }}
          readinessProbe: {{ include "autoreview.probe" (list "/readyz" $.Values.probes.readiness) }}
          lifecycle:
            preStop:
              exec: {command: [sleep, {{ $.Values.preStopSeconds | quote }}]}
          resources: {{ toJson $values.resources }}
          volumeMounts:
            - {name: tmp, mountPath: /tmp}
            # The whole folder, not single files: only so changes arrive while the pod runs.
            - {name: rules, mountPath: /rules, readOnly: true}
            {{- if include "autoreview.shadowRules" $ }}
            - {name: shadow-rules, mountPath: /shadow-rules, readOnly: true}
            {{- end }}
            {{- range $folder, $_ := ternary $.Values.evidenceFolders dict (eq $component "worker") }}
            - {name: {{ printf "evidence-%s" $folder | quote }}, mountPath: {{ printf "/rules/%s" $folder | quote }}, readOnly: true}
            {{- end }}
            - {name: secrets, mountPath: /secrets, readOnly: true}
            {{- with $.Values.extraVolumeMounts }}
            {{- toYaml . | nindent 12 }}
            {{- end }}
      volumes:
        {{- include "autoreview.tmpVolume" $ | nindent 8 }}
        - name: rules
          configMap: {name: {{ include "autoreview.rules" $ | quote }}}
        {{- with include "autoreview.shadowRules" $ }}
        - name: shadow-rules
          configMap: {name: {{ . | quote }}}
        {{- end }}
        {{- range $folder, $claim := ternary $.Values.evidenceFolders dict (eq $component "worker") }}
        - name: {{ printf "evidence-%s" $folder | quote }}
          persistentVolumeClaim: {claimName: {{ $claim | quote }}, readOnly: true}
        {{- end }}
        {{- include "autoreview.secretVolume" (list $ (include "autoreview.keys" $ | fromJson)) | nindent 8 }}
        {{- with $.Values.extraVolumes }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
{{- end -}}
