{{/* What the name of every object begins with. */}}
{{- define "peep.name" -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- $full := contains $name .Release.Name | ternary .Release.Name (printf "%s-%s" .Release.Name $name) -}}
{{- default $full .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- end }}

{{/* Labels that select the pods of this release, or of one component of it: (list $ "pop3-service") */}}
{{- define "peep.selector" -}}
{{- $root := index . 0 -}}
app.kubernetes.io/name: {{ $root.Chart.Name }}
app.kubernetes.io/instance: {{ $root.Release.Name }}
{{- if gt (len .) 1 }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end }}
{{- end }}

{{/* Labels of an object. */}}
{{- define "peep.labels" -}}
{{- $root := index . 0 -}}
{{ include "peep.selector" . }}
app.kubernetes.io/version: {{ $root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" $root.Chart.Name $root.Chart.Version }}
{{- end }}

{{- define "peep.redisSecret" -}}
{{ .Values.redis.existingSecret | default (printf "%s-redis" (include "peep.name" .)) }}
{{- end }}

{{- define "peep.administratorsSecret" -}}
{{ .Values.administrators.existingSecret | default (printf "%s-administrators" (include "peep.name" .)) }}
{{- end }}

{{- define "peep.mailClaim" -}}
{{ .Values.mail.existingClaim | default (printf "%s-mail" (include "peep.name" .)) }}
{{- end }}

{{/* How nodes mount the mail. Kubernetes changes no claim's access mode: one that is there keeps what it has. */}}
{{- define "peep.accessMode" -}}
{{- $claim := include "peep.mailClaim" . -}}
{{- $has := dig "spec" "accessModes" list (lookup "v1" "PersistentVolumeClaim" .Release.Namespace $claim | default dict) -}}
{{- $many := or .Values.autoscaling.enabled (gt (int .Values.pop3Service.replicas) 1) (has "ReadWriteMany" $has) -}}
{{- $mode := .Values.mail.accessMode | default ($many | ternary "ReadWriteMany" "ReadWriteOnce") -}}
{{- if and $has (not (has $mode $has)) -}}
{{- $told := printf "the claim %s is %s, which Kubernetes never changes, and these values want %s: " $claim (first $has) $mode -}}
{{- $told = printf "%sset mail.accessMode=%s (with ReadWriteOnce all POP3 pods run on one node)" $told (first $has) -}}
{{- fail (printf "%s, or name another claim in mail.existingClaim" $told) -}}
{{- end -}}
{{ $mode }}
{{- end }}

{{/* How clients reach POP3. Without TLS it is published only where two values ask for that. */}}
{{- define "peep.pop3ServiceType" -}}
{{- $asked := .Values.pop3Service.service.type -}}
{{- if .Values.tls.existingSecret -}}
{{ $asked | default "LoadBalancer" }}
{{- else -}}
{{- $name := printf "%s-pop3-service" (include "peep.name" .) -}}
{{- $now := dig "spec" "type" "" (lookup "v1" "Service" .Release.Namespace $name | default dict) -}}
{{- $type := $asked | default $now | default "ClusterIP" -}}
{{- if and (ne $type "ClusterIP") (or .Values.tls.required (not $asked)) -}}
{{- $told := "POP3 would be published without TLS, with passwords in the clear: set tls.existingSecret, the Secret of a certificate; " -}}
{{- $told = printf "%sor, if that is what you want, both tls.required=false and pop3Service.service.type=%s; " $told $type -}}
{{- fail (printf "%sor pop3Service.service.type=ClusterIP, which publishes nothing" $told) -}}
{{- end -}}
{{ $type }}
{{- end -}}
{{- end }}

{{/* What changes when pods have to be started anew. */}}
{{- define "peep.annotations" -}}
checksum/settings: {{ printf "%s%s%s" (include (print .Template.BasePath "/configmap.yaml") .) (toJson .Values.administrators) (toJson .Values.redis) | sha256sum }}
{{- with .Values.podAnnotations }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* The part of a pod that is the same in all three Deployments: (list $ COMPONENT GROUP) */}}
{{- define "peep.pod" -}}
{{- $root := index . 0 -}}
{{- $selector := include "peep.selector" (list $root (index . 1)) -}}
automountServiceAccountToken: false
# Without this a Service "peep" would set PEEP_PORT, which is a setting of ours.
enableServiceLinks: false
# Longer than the wait before the end, the drain, and what a service takes to tell Redis that it has ended.
terminationGracePeriodSeconds: {{ add $root.Values.preStopSeconds $root.Values.drainSeconds 15 }}
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  fsGroup: {{ index . 2 }}
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile: {type: RuntimeDefault}
{{- with $root.Values.topologyKeys }}
topologySpreadConstraints:
  {{- range . }}
  - topologyKey: {{ . }}
    maxSkew: 1
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
        {{- $selector | nindent 8 }}
    matchLabelKeys: [pod-template-hash]
  {{- end }}
{{- end }}
{{- with $root.Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- with include "peep.placement" $root | trim }}
{{ . }}
{{- end }}
{{- end }}

{{- define "peep.placement" -}}
{{- with .Values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- end }}

{{/* The same for their containers: (list $ COMPONENT) */}}
{{- define "peep.container" -}}
{{- $root := index . 0 -}}
name: {{ index . 1 }}
image: "{{ $root.Values.image.repository }}/{{ index . 1 }}:{{ $root.Values.image.tag | default $root.Chart.AppVersion }}"
imagePullPolicy: {{ $root.Values.image.pullPolicy }}
securityContext:
  {{- include "peep.containerSecurity" $root | nindent 2 }}
envFrom:
  - configMapRef:
      name: {{ include "peep.name" $root }}
lifecycle:
  preStop:
    sleep:
      seconds: {{ $root.Values.preStopSeconds }}
{{- end }}

{{- define "peep.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end }}

{{/* Volumes of secrets, read-only files for the pod's group: (list NAME SECRET) */}}
{{- define "peep.secretVolume" -}}
- name: {{ index . 0 }}
  secret:
    secretName: {{ index . 1 }}
    defaultMode: 0440
{{- end }}
