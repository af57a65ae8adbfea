{{- define "type" -}}
### {{ .Name }}

{{ .Doc }}
{{ with .SortedReferences }}
Used in:{{ range $i, $type := . }}{{ if $i }},{{ end }} {{ markdownRenderTypeLink $type }}{{ end }}.
{{ end }}
{{- with .Members }}
| field | type | default | |
| --- | --- | --- | --- |
{{ range . }}{{ template "member" . }}
{{ end -}}
{{- end }}
{{- with .EnumValues }}
| value | |
| --- | --- |
{{ range . -}}
{{- /* The comment of a constant begins with its name, and a colon where a reason follows. */ -}}
| `{{ .Name }}` | {{ regexReplaceAll "^\\w+:? " (replace "\n" " " .Doc) "" | trim }} |
{{ end -}}
{{- end }}
{{- end -}}
