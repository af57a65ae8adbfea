// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package replay

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"

	"sigs.k8s.io/yaml"
)

// traefikStatic is the static configuration: what a replay knows of it. The types of
// Traefik have the same fields (pkg/config/static).
type traefikStatic struct {
	EntryPoints               map[string]traefikEntryPoint
	Providers, Log, AccessLog any
}

type traefikEntryPoint struct {
	Address          string
	Transport        any
	ForwardedHeaders struct{ Insecure bool }
	HTTP             struct {
		AliasHeadersStrategy string
		SanitizePath         *bool
		EncodedCharacters    map[string]bool
	}
}

// traefikDynamic is the dynamic configuration (pkg/config/dynamic).
type traefikDynamic struct {
	HTTP struct {
		Middlewares       map[string]traefikMiddleware
		ServersTransports any
		Routers           map[string]struct {
			EntryPoints, Middlewares []string
			Rule, Service            string
		}
		Services map[string]struct {
			LoadBalancer struct {
				Servers                          []struct{ URL string }
				PassHostHeader, ServersTransport any
			}
		}
	}
}

type traefikMiddleware struct {
	Headers     *traefikHeaders
	ForwardAuth *traefikForwardAuth
}

type traefikHeaders struct {
	CustomRequestHeaders, CustomResponseHeaders map[string]string
}

type traefikForwardAuth struct {
	Address                                 string
	AuthRequestHeaders, AuthResponseHeaders []string
	TrustForwardHeader                      *bool
	ForwardBody                             bool
	MaxResponseBodySize                     *int64
}

// readTraefik reads both files. A field that a replay does not know is an error.
func readTraefik(files fs.FS) (traefikEntryPoint, []traefikMiddleware, error) {
	var s traefikStatic
	var d traefikDynamic
	for name, into := range map[string]any{"traefik.yaml": &s, "dynamic.yaml": &d} {
		data, err := fs.ReadFile(files, name)
		if err := errors.Join(err, yaml.UnmarshalStrict(data, into)); err != nil {
			return traefikEntryPoint{}, nil, err
		}
	}
	points, routers := slices.Collect(maps.Values(s.EntryPoints)), slices.Collect(maps.Values(d.HTTP.Routers))
	if len(points) != 1 || len(routers) != 1 || len(d.HTTP.Services) != 1 {
		return traefikEntryPoint{}, nil, unknown("but one entry point, one router and one service")
	}
	if routers[0].Rule != "PathPrefix(`/`)" {
		return traefikEntryPoint{}, nil, unknown("the rule %s", routers[0].Rule)
	}
	var chain []traefikMiddleware
	for _, name := range routers[0].Middlewares {
		middleware := d.HTTP.Middlewares[name]
		if (middleware.Headers == nil) == (middleware.ForwardAuth == nil) {
			return traefikEntryPoint{}, nil, fmt.Errorf("the middleware %s is missing, or not one thing", name)
		}
		if auth := middleware.ForwardAuth; auth != nil && (auth.TrustForwardHeader == nil || auth.MaxResponseBodySize == nil || auth.ForwardBody) {
			return traefikEntryPoint{}, nil, unknown("%s: ForwardAuth but with trustForwardHeader and maxResponseBodySize, and without a body", name)
		}
		chain = append(chain, middleware)
	}
	return points[0], chain, nil
}
