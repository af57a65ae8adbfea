{{- define "gvDetails" -}}
{{- $gv := . -}}
## {{ $gv.GroupVersionString }}

Kinds:{{ range $i, $kind := $gv.SortedKinds }}{{ if $i }},{{ end }} {{ $gv.TypeForKind $kind | markdownRenderTypeLink }}{{ end }}. Durations are written as `720h`, `1h30m` or `90s`,
times as `2027-01-31T00:00:00Z`.
{{ range $gv.SortedKinds }}
{{ template "type" $gv.TypeForKind . }}
{{- end }}
{{- /* A text with a bound, such as the value of a label, is told where it is used. */ -}}
{{- range $gv.SortedTypes }}{{ if and (not .GVK) (or .Members .EnumValues) }}
{{ template "type" . }}
{{- end }}{{ end }}
{{- end -}}
