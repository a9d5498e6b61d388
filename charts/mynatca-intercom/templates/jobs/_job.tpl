{{/* The Job of a run: of the CronJobs, and of the operator, which puts its own arguments in.
     Call with (dict "root" . "args" list "deadline" seconds "labels" dict). */}}
{{- define "mynatca.job" -}}
{{- $root := .root -}}
metadata:
  labels: {{- include "mynatca.labels" (list $root "run") | nindent 4 }}
    {{- with .labels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  backoffLimit: {{ $root.Values.runs.backoffLimit }}
  activeDeadlineSeconds: {{ .deadline }}
  ttlSecondsAfterFinished: 604800
  podFailurePolicy:
    rules:
      # Usage, too many failed rows, a brake, credentials: another attempt would end in the same way.
      - {action: FailJob, onExitCodes: {containerName: syncjob, operator: In, values: [2, 3, 4, 5]}}
      # A drained node is no failed attempt.
      - {action: Ignore, onPodConditions: [{type: DisruptionTarget, status: "True"}]}
  template:
    metadata:
      labels: {{- include "mynatca.labels" (list $root "run") | nindent 8 }}
        {{- with .labels }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      {{- with $root.Values.pods.annotations }}
      annotations: {{- toYaml . | nindent 8 }}
      {{- end }}
    spec:
      {{- include "mynatca.pod" (list $root "run") | nindent 6 }}
      restartPolicy: Never
      # SIGTERM ends a run between two actions; one may wait long for its answer.
      terminationGracePeriodSeconds: 60
      {{- include "mynatca.besideRuns" $root | nindent 6 }}
      containers:
        - name: syncjob
          {{- include "mynatca.container" (list $root "syncjob" $root.Values.runs.resources) | nindent 10 }}
          args: {{- toYaml .args | nindent 12 }}
          env:
            {{- include "mynatca.env" (list $root "syncjob") | nindent 12 }}
            - {name: RUNS_DIR, value: /runs}
            # All attempts of a Job are one run.
            - {name: RUN_ID, valueFrom: {fieldRef: {fieldPath: "metadata.labels['batch.kubernetes.io/job-name']"}}}
            - {name: METRICS_PORT, value: "9090"}
            - {name: TERMINATION_LOG, value: /dev/termination-log}
          ports:
            - {name: metrics, containerPort: 9090}
          volumeMounts:
            {{- include "mynatca.mounts" $root | nindent 12 }}
            - {name: runs, mountPath: /runs}
      volumes:
        {{- include "mynatca.volumes" $root | nindent 8 }}
        - {name: runs, persistentVolumeClaim: {claimName: {{ $root.Values.runs.persistence.existingClaim | default (printf "%s-runs" (include "mynatca.fullname" $root)) | quote }}}}
{{- end -}}
