// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"net/http"

	"github.com/go-logr/logr"
	"k8s.io/client-go/rest"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/hexcovery/apikey-operator/internal/serving"
)

// ignoreBodies has the port for metrics answer without the body of a request:
// controller-runtime's server would wait for one that does not come without end.
func ignoreBodies(c clock.PassiveClock) func(*rest.Config, *http.Client) (server.Filter, error) {
	return func(*rest.Config, *http.Client) (server.Filter, error) {
		return func(_ logr.Logger, handler http.Handler) (http.Handler, error) {
			return serving.IgnoreBody(handler, c), nil
		}, nil
	}
}
