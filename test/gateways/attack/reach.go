// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package attack

import (
	"regexp"
	"slices"
	"strings"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
	"github.com/hexcovery/apikey-operator/internal/registry"
	"github.com/hexcovery/apikey-operator/internal/scope"
)

// routes are the programmatic surface, written down once more: the oracle does not ask
// the code that it judges.
type routes []route

type route struct {
	scope   scope.Set
	methods []string
	path    *regexp.Regexp
}

var (
	exact = programmatic("^", "$")
	// anyCase has no regard to case.
	anyCase = programmatic("(?i)^", "$")
)

// programmatic are the routes with these ends of the pattern of each path.
func programmatic(begins, ends string) routes {
	permit := func(needed v1alpha1.Scope, path string, methods ...string) route {
		return route{scope.Of(needed), methods, regexp.MustCompile(begins + path + ends)}
	}
	return routes{
		permit(v1alpha1.ScopeIngest, `/v1/(metrics|logs|traces)`, "POST"),
		permit(v1alpha1.ScopeIngest, `/opentelemetry\.proto\.collector\.(metrics\.v1\.Metrics|logs\.v1\.Logs|trace\.v1\.Trace)Service/Export`, "POST"),
		permit(v1alpha1.ScopeQuery, `/api/v1/dsl`, "POST"),
		permit(v1alpha1.ScopeAnnotations, `/api/v1/annotations`, "GET", "POST"),
		permit(v1alpha1.ScopeAnnotations, `/api/v1/annotations/[^/\x00-\x1f]+`, "GET", "PUT", "PATCH", "DELETE"),
		permit(v1alpha1.ScopeHeartbeats, `/api/v1/heartbeats`, "POST"),
		permit(v1alpha1.ScopeHeartbeats, `/api/v1/heartbeats/[^/\x00-\x1f]+`, "GET", "HEAD", "POST", "PUT"),
	}
}

// permit reports whether a key may make a request whose path is read like this.
func (r routes) permit(grant *registry.Grant, method, path string) bool {
	return r.match(grant, method, path) && !strings.HasSuffix(path, "/..") && !strings.HasSuffix(path, "/.")
}

// permitTarget compares the path of a target as it was sent.
func (r routes) permitTarget(grant *registry.Grant, method, target string) bool {
	return r.permit(grant, method, cut(target, "?"))
}

// match takes dots for an id, too.
func (r routes) match(grant *registry.Grant, method, path string) bool {
	return slices.ContainsFunc(r, func(r route) bool {
		return slices.Contains(r.methods, method) && grant.Scopes.Contains(r.scope) && r.path.MatchString(path)
	})
}
