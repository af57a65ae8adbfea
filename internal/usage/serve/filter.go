// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package serve

import (
	"fmt"

	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/metrics/filters"
	"sigs.k8s.io/controller-runtime/pkg/metrics/server"
)

// What reviews may cost the API server: a manager's token is reviewed once a minute.
// A flood of other tokens delays usage, and nothing else.
const (
	reviewsPerSecond = 5
	reviewsAtOnce    = 10
)

// NewFilter returns controller-runtime's filter: it authenticates by a TokenReview, and
// authorizes by a SubjectAccessReview for the path and the method.
func NewFilter(config *rest.Config) (server.Filter, error) {
	config = rest.CopyConfig(config)
	config.QPS, config.Burst, config.RateLimiter = reviewsPerSecond, reviewsAtOnce, nil
	client, err := rest.HTTPClientFor(config)
	if err != nil {
		return nil, fmt.Errorf("client for reviews: %w", err)
	}
	filter, err := filters.WithAuthenticationAndAuthorization(config, client)
	if err != nil {
		return nil, fmt.Errorf("filter: %w", err)
	}
	return filter, nil
}
