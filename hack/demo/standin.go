// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
)

// standIn takes the place of the Hexcovery API. It keeps what it is sent for each
// organization, believes the headers that only the auth server can set, and notes
// whatever should never have come through. GET /seen tells.
type standIn struct {
	// mu is held for a whole request: there are few.
	mu sync.Mutex
	// annotations are by organization.
	annotations map[string][]object
	requests    int
	violations  []string
}

// object is one of JSON.
type object = map[string]any

// ServeHTTP looks at the headers before anything else.
func (s *standIn) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.URL.Path == "/seen" {
		reply(w, http.StatusOK, object{"requests": s.requests, "violations": s.violations})
		return
	}
	s.requests++
	for name := range r.Header {
		if folded := strings.ReplaceAll(strings.ToLower(name), "_", "-"); folded == "x-api-key" || folded == "authorization" {
			s.violate(r, "came with a header "+name)
		}
	}
	organizations := r.Header.Values("X-Scope-OrgID")
	if len(organizations) != 1 || organizations[0] == "" {
		s.violate(r, "came without one X-Scope-OrgID")
		http.Error(w, "no organization", http.StatusBadRequest)
		return
	}
	s.serve(w, r, organizations[0])
}

func (s *standIn) violate(r *http.Request, what string) {
	s.violations = append(s.violations, fmt.Sprintf("%s %s %s", r.Method, r.URL.Path, what))
}

// serve knows one answer to a query: every annotation of the organization.
func (s *standIn) serve(w http.ResponseWriter, r *http.Request, organization string) {
	var body object
	_ = json.NewDecoder(r.Body).Decode(&body) // What is not there is missed below.
	stored := s.annotations[organization]
	switch {
	case r.URL.Path == "/api/v1/sql":
		// It would answer anybody anything. No key may come this far.
		s.violate(r, "reached raw SQL")
		reply(w, http.StatusOK, s.annotations)
	case r.URL.Path == "/api/v1/annotations" && r.Method == http.MethodGet:
		reply(w, http.StatusOK, append([]object{}, stored...))
	case r.URL.Path == "/api/v1/annotations" && body["name"] != nil:
		body["id"], body["organization"], body["by"] = len(stored)+1, organization, r.Header.Get("X-API-Key-Name")
		s.annotations[organization] = append(stored, body)
		reply(w, http.StatusCreated, body)
	case r.URL.Path == "/api/v1/dsl" && body["query"] != nil:
		rows := [][]any{}
		for _, annotation := range stored {
			rows = append(rows, []any{annotation["name"], annotation["title"]})
		}
		reply(w, http.StatusOK, object{"columns": []string{"name", "title"}, "rows": rows})
	default:
		http.Error(w, "no such request", http.StatusBadRequest)
	}
}

func reply(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // Whoever has gone away needs no answer.
}
