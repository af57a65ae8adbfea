{{- define "gvList" -}}
# API reference

Each field of each kind, as `kubectl explain` prints it in a terminal: `kubectl explain apikey.spec.rotation`. What happens when a
field changes, and what each condition means, is in [APIKey](apikey.md) and [Organization](organization.md).

This page is generated from `api/` by `make generate`.
{{ range . }}
{{ template "gvDetails" . }}
{{- end }}
{{- end -}}
