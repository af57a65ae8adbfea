// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

// Package clients tests the product with the clients that people have, and with a real
// multi-tenant store behind it, all of it as processes of their own:
//
//	otlpclient, OpenTelemetry Collector, Prometheus
//	    └──► nginx, HAProxy, Caddy, or the built-in proxy
//	             ├──► a Service of auth servers, which know keys of a real control plane
//	             └──► recorder, which counts; or Prometheus behind prom-label-proxy
//
// It asks two things. Does every batch arrive, once and in the right organization, while
// keys are replaced and auth servers restart? And can one organization, with whatever
// combination of keys, headers and parameters, read or write what is another's?
package clients
