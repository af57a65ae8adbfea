// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	// maxBody is more than any request here has.
	maxBody = 1 << 20
	// standInGrace is how long requests in flight may take at the end.
	standInGrace = 5 * time.Second
)

// standIn takes the place of the Hexcovery API. It keeps what it is sent for each
// organization, believes the headers that only the auth server can set, and notes
// whatever should never have come through.
type standIn struct {
	listener net.Listener
	server   *http.Server
	done     chan error

	mu sync.Mutex
	// annotations are by organization.
	annotations map[string][]annotation
	requests    int
	violations  []string
}

// annotation is what was posted, and who it came from.
type annotation struct {
	ID           int    `json:"id"`
	Name         string `json:"name"`
	Title        string `json:"title"`
	Organization string `json:"organization"`
	By           string `json:"by"`
}

func startStandIn(ctx context.Context) (*standIn, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("stand-in for the Hexcovery API: %w", err)
	}
	s := &standIn{listener: listener, done: make(chan error, 1), annotations: map[string][]annotation{}}
	s.server = &http.Server{Handler: s.handler(), ReadHeaderTimeout: standInGrace}
	go func() { s.done <- s.server.Serve(listener) }()
	return s, nil
}

func (s *standIn) url() string { return "http://" + s.listener.Addr().String() }

func (s *standIn) stop() error {
	ctx, cancel := context.WithTimeout(context.Background(), standInGrace)
	defer cancel()
	err := s.server.Shutdown(ctx)
	if served := <-s.done; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	if err != nil {
		return fmt.Errorf("stand-in for the Hexcovery API: %w", err)
	}
	return nil
}

// report returns how many requests came, and what was wrong with them.
func (s *standIn) report() (requests int, violations []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.requests, slices.Clone(s.violations)
}

func (s *standIn) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /api/v1/annotations", s.list)
	mux.HandleFunc("POST /api/v1/annotations", s.create)
	mux.HandleFunc("POST /api/v1/dsl", s.query)
	mux.HandleFunc("/api/v1/sql", s.rawSQL)
	return s.guarded(mux)
}

// guarded looks at the headers of every request, before anything else does.
func (s *standIn) guarded(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.requests++
		for name := range r.Header {
			if folded := strings.ReplaceAll(strings.ToLower(name), "_", "-"); folded == "x-api-key" || folded == "authorization" {
				s.violations = append(s.violations, fmt.Sprintf("%s %s came with a header %s", r.Method, r.URL.Path, name))
			}
		}
		s.mu.Unlock()
		if len(r.Header.Values("X-Scope-OrgID")) != 1 || organizationOf(r) == "" {
			s.violate(r, "came without one X-Scope-OrgID")
			http.Error(w, "no organization", http.StatusBadRequest)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func (s *standIn) violate(r *http.Request, what string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.violations = append(s.violations, fmt.Sprintf("%s %s %s", r.Method, r.URL.Path, what))
}

func organizationOf(r *http.Request) string { return r.Header.Get("X-Scope-OrgID") }

func (s *standIn) list(w http.ResponseWriter, r *http.Request) {
	answer(w, http.StatusOK, s.stored(organizationOf(r)))
}

func (s *standIn) stored(organization string) []annotation {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]annotation{}, s.annotations[organization]...)
}

func (s *standIn) create(w http.ResponseWriter, r *http.Request) {
	var posted annotation
	if err := json.NewDecoder(io.LimitReader(r.Body, maxBody)).Decode(&posted); err != nil || posted.Name == "" {
		http.Error(w, "want an annotation with a name", http.StatusBadRequest)
		return
	}
	posted.Organization, posted.By = organizationOf(r), r.Header.Get("X-API-Key-Name")
	s.mu.Lock()
	posted.ID = len(s.annotations[posted.Organization]) + 1
	s.annotations[posted.Organization] = append(s.annotations[posted.Organization], posted)
	s.mu.Unlock()
	answer(w, http.StatusCreated, posted)
}

// query knows one answer: every annotation of the organization.
func (s *standIn) query(w http.ResponseWriter, r *http.Request) {
	var asked struct {
		Query string `json:"query"`
	}
	if err := json.NewDecoder(io.LimitReader(r.Body, maxBody)).Decode(&asked); err != nil || asked.Query == "" {
		http.Error(w, "want a query", http.StatusBadRequest)
		return
	}
	rows := [][]string{}
	for _, found := range s.stored(organizationOf(r)) {
		rows = append(rows, []string{found.Name, found.Title})
	}
	answer(w, http.StatusOK, map[string]any{"columns": []string{"name", "title"}, "rows": rows})
}

// rawSQL would answer anybody anything. No key may come this far.
func (s *standIn) rawSQL(w http.ResponseWriter, r *http.Request) {
	s.violate(r, "reached raw SQL")
	s.mu.Lock()
	defer s.mu.Unlock()
	answer(w, http.StatusOK, s.annotations)
}

func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // Whoever has gone away needs no answer.
}
