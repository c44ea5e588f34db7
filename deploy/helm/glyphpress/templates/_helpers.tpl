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

{{- define "glyphpress.storeEnv" -}}
{{- if .Values.store.url }}
- name: GLYPHPRESS_STORE
  value: {{ .Values.store.url | quote }}
- name: GLYPHPRESS_STORE_CACHE_MB
  value: {{ .Values.store.cacheMb | quote }}
- name: AWS_REGION
  value: {{ .Values.store.region | quote }}
{{- if .Values.store.endpoint }}
- name: GLYPHPRESS_STORE_ENDPOINT
  value: {{ .Values.store.endpoint | quote }}
{{- end }}
{{- if .Values.store.credentialsSecret }}
- name: AWS_ACCESS_KEY_ID
  valueFrom:
    secretKeyRef:
      name: {{ .Values.store.credentialsSecret }}
      key: AWS_ACCESS_KEY_ID
- name: AWS_SECRET_ACCESS_KEY
  valueFrom:
    secretKeyRef:
      name: {{ .Values.store.credentialsSecret }}
      key: AWS_SECRET_ACCESS_KEY
{{- end }}
{{- end }}
{{- end }}

{{- define "glyphpress.account" -}}
{{- if .Values.serviceAccount }}
serviceAccountName: {{ .Values.serviceAccount }}
{{- end }}
{{- end }}

{{- define "glyphpress.volumes" -}}
- name: data
{{- if .Values.store.url }}
  emptyDir:
    sizeLimit: {{ .Values.store.scratch }}
{{- else }}
  persistentVolumeClaim:
    claimName: {{ include "glyphpress.name" . }}-data
{{- end }}
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
