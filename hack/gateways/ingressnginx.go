// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package gateways

import (
	"bytes"
	"context"
	_ "embed"
	"fmt"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"text/template"

	networkingv1 "k8s.io/api/networking/v1"
	"sigs.k8s.io/yaml"

	"github.com/hexcovery/apikey-operator/hack/process"
)

// IngressNginx is the distribution's nginx with what ingress-nginx makes of the Ingresses
// and ConfigMaps of config/gateways/ingress-nginx. The controller itself, and its Lua, do
// not run here.
var IngressNginx = Program{
	Name: "ingress-nginx",
	launch: func(_ context.Context, at place, options Options) (process.Launch, error) {
		conf, err := renderIngressNginx(at, options)
		if err != nil {
			return process.Launch{}, err
		}
		return launchNginx(options, conf)
	},
}

// What is known here, with its default. Another setting or annotation is an error.
var (
	knownSettings = map[string]string{
		"proxy-set-headers": "", "enable-underscores-in-headers": "false", "ignore-invalid-headers": "true", "use-forwarded-headers": "false",
		"allow-snippet-annotations": "false", "http-snippet": "", "location-snippet": "", "server-snippet": "",
	}
	knownAnnotations = map[string]string{
		"auth-url": "", "auth-response-headers": "", "auth-proxy-set-headers": "", "backend-protocol": "HTTP",
		"proxy-connect-timeout": "5", "proxy-read-timeout": "60", "proxy-send-timeout": "60", "proxy-body-size": "1m", "proxy-request-buffering": "on",
	}
)

// settle returns the values, without the prefix of their names, over the defaults.
func settle(defaults, values map[string]string, prefix string) (map[string]string, error) {
	settled := maps.Clone(defaults)
	for name, value := range values {
		name = strings.TrimPrefix(name, prefix)
		if _, ok := defaults[name]; !ok {
			return nil, fmt.Errorf("%s%s is not known here", prefix, name)
		}
		settled[name] = value
	}
	return settled, nil
}

// ingressFiles are the Ingresses, and what the ConfigMaps have, by namespace and name.
type ingressFiles struct {
	ingresses  []*networkingv1.Ingress
	configMaps map[string]map[string]string
}

func readIngressFiles(folder string) (*ingressFiles, error) {
	files := &ingressFiles{configMaps: map[string]map[string]string{}}
	for _, name := range []string{"controller-configmap.yaml", "ingress.yaml"} {
		data, err := os.ReadFile(filepath.Join(folder, name))
		if err != nil {
			return nil, err
		}
		for document := range bytes.SplitSeq(data, []byte("\n---\n")) {
			var one struct {
				networkingv1.Ingress
				Data map[string]string
			}
			if err := yaml.Unmarshal(document, &one); err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
			if one.Kind == "ConfigMap" {
				files.configMaps[one.Namespace+"/"+one.Name] = one.Data
			} else {
				files.ingresses = append(files.ingresses, &one.Ingress)
			}
		}
	}
	return files, nil
}

// location is one path of an Ingress, and the question that belongs to it.
type location struct {
	Path string
	Type networkingv1.PathType
	// Auth is where the question goes; the zero URL is nowhere.
	Auth        *url.URL
	Annotations map[string]string
	// ResponseHeaders are those of the answer that the upstream gets.
	ResponseHeaders []string
	// SetHeaders are for the upstream, and AuthHeaders for the question.
	SetHeaders, AuthHeaders map[string]string
}

//go:embed ingressnginx.tmpl
var ingressNginxTemplate string

var ingressNginxConf = template.Must(template.New("").Funcs(template.FuncMap{
	// The variable of nginx that a header is in.
	"variable": func(header string) string { return strings.ReplaceAll(strings.ToLower(header), "-", "_") },
}).Parse(nginxMain + ingressNginxTemplate))

func renderIngressNginx(at place, options Options) (string, error) {
	files, err := readIngressFiles(options.Config)
	if err != nil {
		return "", err
	}
	settings, err := settle(knownSettings, files.configMaps["ingress-nginx/ingress-nginx-controller"], "")
	if err != nil {
		return "", err
	}
	var locations []location
	for _, ingress := range files.ingresses {
		annotations, err := settle(knownAnnotations, ingress.Annotations, "nginx.ingress.kubernetes.io/")
		if err != nil {
			return "", err
		}
		auth, err := url.Parse(annotations["auth-url"])
		if err != nil {
			return "", err
		}
		for _, path := range ingress.Spec.Rules[0].HTTP.Paths {
			locations = append(locations, location{
				Path: path.Path, Type: *path.PathType, Auth: auth, Annotations: annotations,
				ResponseHeaders: strings.FieldsFunc(annotations["auth-response-headers"], func(r rune) bool { return r == ',' }),
				SetHeaders:      files.configMaps[settings["proxy-set-headers"]],
				AuthHeaders:     files.configMaps[annotations["auth-proxy-set-headers"]],
			})
		}
	}
	var conf strings.Builder
	err = ingressNginxConf.Execute(&conf, map[string]any{
		"HTTP": at.http, "H2C": at.h2c, "Options": options, "Settings": settings, "Locations": locations,
	})
	return conf.String(), err
}
