{{- define "member" -}}
{{- /* What JSON has in place of types of Go. Pages of Kubernetes are there as long as its version is; Go's stay. */ -}}
{{- $type := markdownRenderType .Type -}}
{{- $type = regexReplaceAll "^object \\(keys:string, .*" $type "map of strings" -}}
{{- $type = regexReplaceAll "\\[Time\\]\\([^)]*\\)" $type "time" -}}
{{- $type = regexReplaceAll "\\[Duration\\]\\([^)]*\\)" $type "duration" -}}
{{- $type = regexReplaceAll "\\[UID\\]\\([^)]*\\)" $type "string" -}}
{{- $type = regexReplaceAll "^UID$" $type "string" -}}
{{- $type = regexReplaceAll "\\(https://kubernetes.io/[^)]*\\)" $type "(https://pkg.go.dev/k8s.io/apimachinery/pkg/apis/meta/v1)" -}}
{{- /* A variable of a template is no mathematics, and "Default: …" is a paragraph of its own. */ -}}
{{- $text := regexReplaceAll "\\$\\$?\\([A-Z_]+\\)|\\$\\$" (replace "|" "\\|" .Doc) "\x60${0}\x60" -}}
{{- $parts := regexSplit "\\nDefault: " $text 2 -}}
| `{{ .Name }}` | {{ $type }} | {{ if has "Required: {}" .Validation }}required{{ else if gt (len $parts) 1 }}{{ last $parts | replace "\n" " " | trimSuffix "." }}{{ end }} | {{ first $parts | replace "\n" " " }} |
{{- end -}}
