// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package gateways

import (
	"context"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/hexcovery/apikey-operator/hack/stack"
)

const traefikName = "traefik"

// Traefik is not one of All: while nobody can be asked it answers 500, after which clients
// give up what they have.
func Traefik() Program { return Program{Name: traefikName, Start: StartTraefik} }

// StartTraefik starts the Traefik that is pinned, with its file provider.
func StartTraefik(ctx context.Context, options Options) (*Gateway, error) {
	g, err := start(ctx, traefikName, options, onePort(func(at *place, options Options) (stack.Launch, error) {
		program, err := Binary(ctx, TraefikProgram, options.Log)
		if err != nil {
			return stack.Launch{}, err
		}
		// The files name addresses, which is what their user adapts.
		addresses := strings.NewReplacer(
			`":8000"`, at.http,
			"/etc/traefik/dynamic.yaml", filepath.Join(options.Dir, "dynamic.yaml"),
			"apikey-authserver.hexcovery-system.svc:8080", options.AuthServer,
			"hexcovery-api.hexcovery.svc:8080", options.UpstreamGRPC,
		)
		for _, name := range []string{"traefik.yaml", "dynamic.yaml"} {
			data, err := os.ReadFile(filepath.Join(options.Config, name))
			if err != nil {
				return stack.Launch{}, err
			}
			if err := os.WriteFile(filepath.Join(options.Dir, name), []byte(addresses.Replace(string(data))), 0o600); err != nil {
				return stack.Launch{}, err
			}
		}
		return stack.Launch{Path: program, Args: []string{"--configFile=" + filepath.Join(options.Dir, "traefik.yaml")}}, nil
	}))
	if err != nil {
		return nil, err
	}
	if err := awaitRouter(ctx, g.HTTP); err != nil {
		return nil, errors.Join(err, g.Stop())
	}
	return g, nil
}

// awaitRouter waits until Traefik has read the dynamic configuration: until then it has no
// router, and answers by itself.
func awaitRouter(ctx context.Context, address string) error {
	return wait.PollUntilContextTimeout(ctx, 20*time.Millisecond, 10*time.Second, true, func(ctx context.Context) (bool, error) {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address, nil)
		if err != nil {
			return false, err
		}
		response, err := http.DefaultTransport.RoundTrip(request)
		if err != nil {
			return false, nil //nolint:nilerr // it may still have to begin
		}
		return response.StatusCode != http.StatusNotFound, response.Body.Close()
	})
}
