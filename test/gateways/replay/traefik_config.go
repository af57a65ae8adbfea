// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package replay

import (
	"errors"
	"fmt"

	"sigs.k8s.io/yaml"
)

// traefikStatic is the static configuration: what a replay knows of it. The types of
// Traefik have the same fields (pkg/config/static).
type traefikStatic struct {
	EntryPoints map[string]traefikEntryPoint `json:"entryPoints"`
	Providers   map[string]any               `json:"providers"`
	Log         map[string]any               `json:"log"`
	AccessLog   map[string]any               `json:"accessLog"`
}

type traefikEntryPoint struct {
	Address          string `json:"address"`
	ForwardedHeaders struct {
		Insecure bool `json:"insecure"`
	} `json:"forwardedHeaders"`
	HTTP struct {
		AliasHeadersStrategy string          `json:"aliasHeadersStrategy"`
		SanitizePath         *bool           `json:"sanitizePath"`
		EncodedCharacters    map[string]bool `json:"encodedCharacters"`
	} `json:"http"`
	Transport map[string]any `json:"transport"`
}

// traefikDynamic is the dynamic configuration (pkg/config/dynamic).
type traefikDynamic struct {
	HTTP struct {
		Routers           map[string]traefikRouter     `json:"routers"`
		Middlewares       map[string]traefikMiddleware `json:"middlewares"`
		Services          map[string]traefikService    `json:"services"`
		ServersTransports map[string]any               `json:"serversTransports"`
	} `json:"http"`
}

type traefikRouter struct {
	EntryPoints []string `json:"entryPoints"`
	Rule        string   `json:"rule"`
	Middlewares []string `json:"middlewares"`
	Service     string   `json:"service"`
}

type traefikMiddleware struct {
	Headers     *traefikHeaders     `json:"headers"`
	ForwardAuth *traefikForwardAuth `json:"forwardAuth"`
}

type traefikHeaders struct {
	CustomRequestHeaders  map[string]string `json:"customRequestHeaders"`
	CustomResponseHeaders map[string]string `json:"customResponseHeaders"`
}

type traefikForwardAuth struct {
	Address             string   `json:"address"`
	TrustForwardHeader  *bool    `json:"trustForwardHeader"`
	AuthResponseHeaders []string `json:"authResponseHeaders"`
	AuthRequestHeaders  []string `json:"authRequestHeaders"`
	ForwardBody         bool     `json:"forwardBody"`
	MaxResponseBodySize *int64   `json:"maxResponseBodySize"`
}

type traefikService struct {
	LoadBalancer struct {
		Servers []struct {
			URL string `json:"url"`
		} `json:"servers"`
		PassHostHeader   *bool  `json:"passHostHeader"`
		ServersTransport string `json:"serversTransport"`
	} `json:"loadBalancer"`
}

// parseTraefik reads both files. A field that a replay does not know is an error.
func parseTraefik(static, dynamic []byte) (*traefikEntryPoint, []traefikMiddleware, error) {
	var s traefikStatic
	var d traefikDynamic
	if err := errors.Join(yaml.UnmarshalStrict(static, &s), yaml.UnmarshalStrict(dynamic, &d)); err != nil {
		return nil, nil, err
	}
	if len(s.EntryPoints) != 1 || len(d.HTTP.Routers) != 1 || len(d.HTTP.Services) != 1 {
		return nil, nil, errors.New("a replay of Traefik knows one entry point, one router and one service")
	}
	var chain []traefikMiddleware
	for _, router := range d.HTTP.Routers {
		if router.Rule != "PathPrefix(`/`)" {
			return nil, nil, fmt.Errorf("a replay of Traefik does not know the rule %s", router.Rule)
		}
		for _, name := range router.Middlewares {
			middleware, ok := d.HTTP.Middlewares[name]
			if !ok || (middleware.Headers == nil) == (middleware.ForwardAuth == nil) {
				return nil, nil, fmt.Errorf("the middleware %s is missing, or not one thing", name)
			}
			if auth := middleware.ForwardAuth; auth != nil && (auth.TrustForwardHeader == nil || auth.ForwardBody) {
				return nil, nil, fmt.Errorf("%s: a replay of Traefik knows ForwardAuth with trustForwardHeader, and without a body", name)
			}
			chain = append(chain, middleware)
		}
	}
	for _, point := range s.EntryPoints {
		return &point, chain, nil
	}
	panic("there is one entry point")
}
