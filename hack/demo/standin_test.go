// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

const (
	annotationsPath = "/api/v1/annotations"
	queryPath       = "/api/v1/dsl"
	rawSQLPath      = "/api/v1/sql"

	title = "v2.3.1 to production"
	note  = `{"name": "deploy/myapp", "title": "` + title + `"}`
	query = `{"query": "SELECT name, title FROM annotations LAST 1h"}`
)

func newTestStandIn() *standIn { return &standIn{annotations: map[string][]object{}} }

// ask sends one request, with headers given as name and value in turn.
func ask(handler http.Handler, method, path, body string, headers ...string) (int, string) {
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	for i := 0; i < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, r)
	return w.Code, w.Body.String()
}

func TestStandInKeepsOrganizationsApart(t *testing.T) {
	s := newTestStandIn()
	if status, _ := ask(s, "POST", annotationsPath, note, "X-Scope-OrgID", "acme"); status != http.StatusCreated {
		t.Errorf("post: %d", status)
	}
	for _, r := range []struct{ method, path, body string }{{"GET", annotationsPath, ""}, {"POST", queryPath, query}} {
		if status, body := ask(s, r.method, r.path, r.body, "X-Scope-OrgID", "acme"); status != http.StatusOK || !strings.Contains(body, title) {
			t.Errorf("%s: %d %s", r.path, status, body)
		}
		if status, body := ask(s, r.method, r.path, r.body, "X-Scope-OrgID", "globex"); status != http.StatusOK || strings.Contains(body, title) {
			t.Errorf("%s, of the other organization: %d %s", r.path, status, body)
		}
	}
	if status, body := ask(s, "GET", "/seen", ""); status != http.StatusOK || body != `{"requests":5,"violations":null}`+"\n" {
		t.Errorf("%d, %s", status, body)
	}
}

func TestStandInNotesWhatShouldNotComeThrough(t *testing.T) {
	for name, test := range map[string]struct {
		path    string
		headers []string
	}{
		"a key":                       {annotationsPath, []string{"X-Scope-OrgID", "acme", "X-API-Key", "hxk_"}},
		"a key in another spelling":   {annotationsPath, []string{"X-Scope-OrgID", "acme", "X_API_Key", "hxk_"}},
		"a session":                   {annotationsPath, []string{"X-Scope-OrgID", "acme", "Authorization", "Bearer hxk_"}},
		"raw SQL":                     {rawSQLPath, []string{"X-Scope-OrgID", "acme"}},
		"no organization":             {annotationsPath, nil},
		"an empty organization":       {annotationsPath, []string{"X-Scope-OrgID", ""}},
		"two organizations":           {annotationsPath, []string{"X-Scope-OrgID", "acme", "X-Scope-OrgID", "globex"}},
		"no organization for raw SQL": {rawSQLPath, nil},
	} {
		t.Run(name, func(t *testing.T) {
			s := newTestStandIn()
			status, _ := ask(s, "GET", test.path, "", test.headers...)
			if len(s.violations) != 1 {
				t.Errorf("%d, %q", status, s.violations)
			}
			if _, body := ask(s, "GET", "/seen", ""); strings.Contains(body, "null") {
				t.Errorf("it keeps that to itself: %s", body)
			}
		})
	}
}
