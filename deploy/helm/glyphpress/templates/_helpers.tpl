{{- define "glyphpress.name" -}}
{{ .Release.Name }}-glyphpress
{{- end }}

{{- define "glyphpress.labels" -}}
app.kubernetes.io/name: glyphpress
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{- define "glyphpress.selector" -}}
app.kubernetes.io/name: glyphpress
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "glyphpress.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{- define "glyphpress.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end }}

{{- define "glyphpress.redisEnv" -}}
- name: REDIS_URL
{{- if .Values.redis.enabled }}
  value: redis://{{ include "glyphpress.name" . }}-redis:6379
{{- else }}
  valueFrom:
    secretKeyRef:
      name: {{ required "redis.urlSecret names the secret that holds the URL" .Values.redis.urlSecret }}
      key: {{ .Values.redis.urlKey }}
{{- end }}
{{- end }}

{{- define "glyphpress.volumes" -}}
- name: data
  persistentVolumeClaim:
    claimName: {{ include "glyphpress.name" . }}-data
- name: tmp
  emptyDir:
    sizeLimit: 2Gi
{{- end }}

{{- define "glyphpress.mounts" -}}
- name: data
  mountPath: /data
- name: tmp
  mountPath: /tmp
{{- end }}
