{{/* What the installation's objects are called; short enough for a CronJob's Jobs and their pods. */}}
{{- define "mynatca.fullname" -}}
{{- $name := .Release.Name -}}
{{- if not (contains .Chart.Name $name) -}}{{- $name = printf "%s-%s" $name .Chart.Name -}}{{- end -}}
{{- .Values.fullnameOverride | default $name | replace "." "-" | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{/* Labels by which a Service or policy finds the pods of a part. Call with (list . "webhook"). */}}
{{- define "mynatca.selector" -}}
{{- $root := index . 0 -}}
app.kubernetes.io/name: {{ $root.Chart.Name }}
app.kubernetes.io/instance: {{ $root.Release.Name | quote }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end -}}

{{/* All labels of an object or pod. Call with (list . "webhook"). */}}
{{- define "mynatca.labels" -}}
{{- $root := index . 0 -}}
{{ include "mynatca.selector" . }}
app.kubernetes.io/version: {{ $root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" $root.Chart.Name $root.Chart.Version | replace "+" "_" }}
{{- with $root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* The image of a program: its digest wins over the tag. Call with (list . "webhook"). */}}
{{- define "mynatca.image" -}}
{{- $root := index . 0 -}}
{{- $image := $root.Values.image -}}
{{- $version := printf ":%s" (default $root.Chart.AppVersion $image.tag) -}}
{{- with index $image.digests (index . 1) -}}{{- $version = printf "@%s" . -}}{{- end -}}
{{- $image.repository }}/{{ index . 1 }}{{ $version }}
{{- end -}}

{{/* What all pods have in common; only the operator mounts a token. Call with (list . "webhook"). */}}
{{- define "mynatca.pod" -}}
{{- $root := index . 0 -}}
{{- $isOperator := eq (index . 1) "operator" -}}
serviceAccountName: {{ printf "%s%s" (include "mynatca.fullname" $root) (ternary "-operator" "" $isOperator) | quote }}
automountServiceAccountToken: {{ $isOperator }}
# Or the sandbox's Service would set SANDBOX_PORT, which is a setting of its own.
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  fsGroup: 10001
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile: {type: RuntimeDefault}
{{- with $root.Values.image.pullSecrets }}
imagePullSecrets: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $root.Values.pods.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $root.Values.pods.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $root.Values.pods.priorityClassName }}
priorityClassName: {{ . | quote }}
{{- end }}
{{- end -}}

{{/* With a volume that one node can mount, all that mounts the run folders goes where the first one went. */}}
{{- define "mynatca.besideRuns" -}}
{{- if eq .Values.runs.persistence.accessMode "ReadWriteOnce" -}}
affinity:
  podAffinity:
    requiredDuringSchedulingIgnoredDuringExecution:
      - topologyKey: kubernetes.io/hostname
        labelSelector:
          matchLabels: {{- omit (include "mynatca.selector" (list . "") | fromYaml) "app.kubernetes.io/component" | toYaml | nindent 12 }}
          matchExpressions: [{key: app.kubernetes.io/component, operator: In, values: [run, volume]}]
{{- end -}}
{{- end -}}

{{/* What all containers have in common. Call with (list . "webhook" resources), the program's name. */}}
{{- define "mynatca.container" -}}
{{- $root := index . 0 -}}
image: {{ include "mynatca.image" (list $root (index . 1)) }}
imagePullPolicy: {{ $root.Values.image.pullPolicy }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
resources: {{- toYaml (index . 2) | nindent 2 }}
{{- end -}}

{{/* Name of an object for Prometheus or Grafana; in a namespace that releases share, it begins with the release's own.
     Call with (list . namespace). */}}
{{- define "mynatca.monitoringName" -}}
{{- $root := index . 0 -}}
{{- $shared := and (index . 1) (ne (index . 1) $root.Release.Namespace) -}}
{{- ternary (printf "%s-" $root.Release.Namespace) "" (not (not $shared)) }}{{ include "mynatca.fullname" $root }}
{{- end -}}

{{/* The Secret with all secret settings. */}}
{{- define "mynatca.secretName" -}}
{{- .Values.secret.existingSecret | default (include "mynatca.fullname" .) -}}
{{- end -}}

{{/* The secret settings that a program reads, one a line. Call with (list . "webhook"). */}}
{{- define "mynatca.secretKeys" -}}
{{- $root := index . 0 -}}
{{- $settings := fromYaml (include "mynatca.settings" $root) -}}
INTERCOM_ACCESS_TOKEN
{{- if contains "supabase" ($settings.MEMBER_SOURCES | default "supabase") }}
SUPABASE_KEY
{{- end }}
{{- if $settings.MYSQL_HOST }}
MYSQL_PASS
{{- end }}
{{- if eq (index . 1) "webhook" }}
INTERCOM_CLIENT_SECRET
{{- if eq $root.Values.webhook.store "postgresql" }}
WEBHOOK_STORE
{{- end }}
{{- end }}
{{- end -}}

{{/* `settings`, and what follows from other values. */}}
{{- define "mynatca.settings" -}}
{{- $settings := dict -}}
{{- if .Values.sandbox.enabled -}}
{{- $url := printf "http://%s-sandbox:8080" (include "mynatca.fullname" .) -}}
{{- $settings = dict "INTERCOM_URL" $url "SUPABASE_URL" $url "INTERCOM_SEARCH_LAG_SECONDS" 0 -}}
{{- end -}}
{{- if .Values.mysqlCaConfigMap -}}
{{- $_ := set $settings "MYSQL_TLS_CA" "/etc/mynatca-intercom/mysql-ca/ca.crt" -}}
{{- end -}}
{{- mergeOverwrite $settings .Values.settings | toYaml -}}
{{- end -}}

{{/* The environment of a program that reaches Intercom. Call with (list . "webhook"). */}}
{{- define "mynatca.env" -}}
{{- $root := index . 0 -}}
{{- range $name, $value := fromYaml (include "mynatca.settings" $root) }}
- {name: {{ $name }}, value: {{ include "mynatca.text" $value | quote }}}
{{- end }}
{{- range include "mynatca.secretKeys" . | splitList "\n" }}
- {name: {{ . }}, valueFrom: {secretKeyRef: {name: {{ include "mynatca.secretName" $root | quote }}, key: {{ . }}}}}
{{- end }}
{{- end -}}

{{/* A number or text as text; Helm's numbers are floats, and large ones would become 1e+06. */}}
{{- define "mynatca.text" -}}
{{- if and (kindIs "float64" .) (eq (floor .) .) -}}{{ int64 . }}{{- else -}}{{ . }}{{- end -}}
{{- end -}}

{{/* The volumes of a program that reaches Intercom: what it may write, and the MySQL server's authority. */}}
{{- define "mynatca.volumes" -}}
- {name: tmp, emptyDir: {}}
{{- with .Values.mysqlCaConfigMap }}
- {name: mysql-ca, configMap: {name: {{ . | quote }}}}
{{- end }}
{{- end -}}

{{- define "mynatca.mounts" -}}
- {name: tmp, mountPath: /tmp}
{{- if .Values.mysqlCaConfigMap }}
- {name: mysql-ca, mountPath: /etc/mynatca-intercom/mysql-ca, readOnly: true}
{{- end }}
{{- end -}}

{{/* A claim that outlives the release. Call with (list . name component persistence accessMode). */}}
{{- define "mynatca.claim" -}}
{{- $root := index . 0 -}}
{{- $persistence := index . 3 -}}
apiVersion: v1
kind: PersistentVolumeClaim
metadata:
  name: {{ index . 1 }}
  namespace: {{ $root.Release.Namespace | quote }}
  labels: {{- include "mynatca.labels" (list $root (index . 2)) | nindent 4 }}
  annotations:
    helm.sh/resource-policy: keep
spec:
  accessModes: [{{ index . 4 }}]
  {{- with $persistence.storageClass }}
  storageClassName: {{ . | quote }}
  {{- end }}
  resources:
    requests:
      storage: {{ $persistence.size }}
{{- end -}}

{{/* Says in a sentence what values contradict each other in a way that the schema cannot tell. */}}
{{- define "mynatca.validate" -}}
{{- $secret := .Values.secret -}}
{{- $ways := compact (list $secret.existingSecret $secret.externalSecret.key (ternary "inline" "" (gt (len $secret.inline) 0))) -}}
{{- if and .Values.sandbox.enabled (or $secret.existingSecret $secret.externalSecret.key) -}}
{{- fail "sandbox.enabled brings its own secret: leave secret.existingSecret and secret.externalSecret.key empty." -}}
{{- else if and (not .Values.sandbox.enabled) (ne (len $ways) 1) -}}
{{- fail (printf "Set exactly one of secret.existingSecret, secret.externalSecret.key and secret.inline, not %d of them. To try everything without any account: --set sandbox.enabled=true" (len $ways)) -}}
{{- end -}}
{{- if and $secret.externalSecret.key (not $secret.externalSecret.store) -}}
{{- fail "secret.externalSecret.key needs secret.externalSecret.store, the name of the store that has it." -}}
{{- end -}}
{{- $settings := fromYaml (include "mynatca.settings" .) -}}
{{- $sources := $settings.MEMBER_SOURCES | default "supabase" -}}
{{- if and (contains "supabase" $sources) (not $settings.SUPABASE_URL) -}}
{{- fail "Set settings.SUPABASE_URL, the address of the project with the members: https://abcd.supabase.co" -}}
{{- end -}}
{{- if or (contains "mysql" $sources) $settings.MYSQL_HOST -}}
{{- range list "MYSQL_HOST" "MYSQL_USER" "MYSQL_DB" -}}
{{- if not (get $settings .) -}}{{- fail (printf "Members are looked for in MySQL: set settings.%s, too." .) -}}{{- end -}}
{{- end -}}
{{- end -}}
{{- if $secret.inline -}}
{{- $given := merge (dict) $secret.inline (ternary (dict "INTERCOM_ACCESS_TOKEN" "" "SUPABASE_KEY" "" "INTERCOM_CLIENT_SECRET" "") (dict) .Values.sandbox.enabled) -}}
{{- range include "mynatca.secretKeys" (list . (ternary "webhook" "syncjob" .Values.webhook.enabled)) | splitList "\n" -}}
{{- if not (hasKey $given .) -}}{{- fail (printf "secret.inline lacks %s." .) -}}{{- end -}}
{{- end -}}
{{- else if and .Values.sandbox.enabled (eq .Values.webhook.store "postgresql") -}}
{{- fail "webhook.store is postgresql: set secret.inline.WEBHOOK_STORE, as the sandbox's own secret has none." -}}
{{- end -}}
{{- if and (or .Values.webhook.ingress.enabled .Values.webhook.httpRoute.enabled) (not .Values.webhook.host) -}}
{{- fail "Set webhook.host, the name under which Intercom reaches the webhook service." -}}
{{- end -}}
{{- if and .Values.webhook.httpRoute.enabled (not .Values.webhook.httpRoute.parentRefs) -}}
{{- fail "Set webhook.httpRoute.parentRefs, the gateways that the route is for." -}}
{{- end -}}
{{- if gt (int .Values.webhook.autoscaling.minReplicas) (int .Values.webhook.autoscaling.maxReplicas) -}}
{{- fail "webhook.autoscaling.minReplicas is more than webhook.autoscaling.maxReplicas." -}}
{{- end -}}
{{- if gt (add .Values.nightly.startingDeadlineSeconds .Values.nightly.activeDeadlineSeconds) 86400 -}}
{{- fail "nightly.startingDeadlineSeconds and nightly.activeDeadlineSeconds are more than a day together: a late night would run into the next one." -}}
{{- end -}}
{{- end -}}
