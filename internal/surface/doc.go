// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

// Package surface is the route policy: an allow-list of the requests that a key may make,
// each with the scope that it needs, and of those that a dashboard session may make. The
// list, its file and its flag are called the surface.
//
// A method and a path that no rule of a Table names are refused, whatever the key. It is
// read from a file (Load), or is the one built in (Default). Before a path is looked up it
// is judged (Judge): what a gateway, this server and an upstream could read in more than
// one way is refused, because the path that is judged has to be the path that is served.
//
// A Table never changes once it is made, and a lookup neither locks nor allocates. A
// File replaces its Table when the file changes (Open, Run): a file that is not valid
// replaces nothing. Explain says why a request is decided as it is, with the code of Lookup.
//
// # The file
//
//	apiVersion: auth.hexcovery.io/v1alpha1
//	kind: Surface
//	rules:
//	- name: annotation            # for people: errors name the rule
//	  scope: annotations          # what a key needs
//	  methods: [GET, DELETE]      # exactly these; GET does not imply HEAD
//	  paths:
//	  - /api/v1/annotations/{id}  # {id} is one segment, never empty
//	- name: files
//	  scope: query
//	  methods: [GET]
//	  paths:
//	  - /files/{path...}          # everything below /files/, not /files itself
//	- name: otlp-grpc
//	  scope: ingest
//	  grpc:                       # instead of methods and paths
//	  - opentelemetry.proto.collector.logs.v1.LogsService/Export
//	- name: dashboards
//	  sessions: true              # for dashboard sessions; without a scope, for no key
//	  methods: [GET]
//	  paths:
//	  - /api/v1/dashboards
//
// Patterns are those of net/http's ServeMux, without its hosts, methods and {$}: paths
// are compared case-sensitively, a trailing slash makes another path and stands only for
// itself, and {path...} is never empty. Where two patterns match, the more specific one
// decides alone: segment by segment from the left, a literal goes before {id}, and {id}
// before {path...}. If it does not permit the method, no other pattern is tried. That is
// also how patterns are ordered that ServeMux refuses to have both, as /a/{id}/c and
// /a/b/{id}.
//
// What is a literal but for its case matches nothing, no wildcard either: servers that
// have no regard to case, such as Caddy, take it for the literal, which may need another
// scope. So no two literals at one place may differ in case only.
//
// A rule has a scope, or sessions: true, or both. One without a scope does not exist
// for keys.
package surface
