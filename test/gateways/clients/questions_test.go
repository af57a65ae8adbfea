// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package clients

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"time"

	"github.com/hexcovery/apikey-operator/test/gateways/clients/recorder"
)

// question is one request of an attack.
type question struct {
	attacker, victim *tenant
	entrance         string
	// kind, spoof, credential and text tell it from the others.
	kind, spoof, credential, text string

	method, target, body string
	header               http.Header
}

func (q question) String() string {
	return fmt.Sprintf("%s against %s through %s, by %s, headers %q, credential %q: %s", q.attacker.id, q.victim.id, q.entrance, q.kind, q.spoof, q.credential, q.text)
}

// writing is the kind of question that writes.
const writing = "write"

// kind is a way to ask the store.
type kind struct {
	name string
	// shows says that an answer can show one's own secret or value.
	shows bool
	// make completes a question that asks for an expression.
	make func(q *question, expression string)
}

// form makes a question one with a form.
func (q *question) form(values url.Values) {
	q.method, q.body = http.MethodPost, values.Encode()
	q.header.Set("Content-Type", "application/x-www-form-urlencoded")
}

// kinds are the ways to ask, with every way to give a parameter twice.
var kinds = []kind{
	{"GET query", true, func(q *question, e string) {
		q.target = "/api/v1/query?" + url.Values{"query": {e}}.Encode()
	}},
	{"GET query twice", true, func(q *question, e string) {
		q.target = "/api/v1/query?" + url.Values{"query": {"marker", e}}.Encode()
	}},
	{"POST query", true, func(q *question, e string) {
		q.target = "/api/v1/query"
		q.form(url.Values{"query": {e}})
	}},
	{"POST query, form and URL", true, func(q *question, e string) {
		q.target = "/api/v1/query?" + url.Values{"query": {e}, tenantLabel: {q.victim.id}}.Encode()
		q.form(url.Values{"query": {"marker"}})
	}},
	{"GET query with the tenant as parameter", true, func(q *question, e string) {
		q.target = "/api/v1/query?" + url.Values{"query": {e}, tenantLabel: {q.victim.id}, "X-Scope-OrgID": {q.victim.id}}.Encode()
	}},
	{"GET query_range", true, func(q *question, e string) {
		now := time.Now().Unix()
		q.target = "/api/v1/query_range?" + url.Values{"query": {e}, "start": {fmt.Sprint(now - 60)}, "end": {fmt.Sprint(now + 5)}, "step": {"5"}}.Encode()
	}},
	{"GET series", true, func(q *question, e string) {
		q.target = "/api/v1/series?" + url.Values{"match[]": {e}}.Encode()
	}},
	{"GET series, two selectors", true, func(q *question, e string) {
		q.target = "/api/v1/series?" + url.Values{"match[]": {"marker", e}}.Encode()
	}},
	{"POST series, form and URL", true, func(q *question, e string) {
		q.target = "/api/v1/series?" + url.Values{"match[]": {e}}.Encode()
		q.form(url.Values{"match[]": {"marker"}})
	}},
	{"GET labels", false, func(q *question, e string) {
		q.target = "/api/v1/labels?" + url.Values{"match[]": {e}}.Encode()
	}},
	{"GET values of secret", true, func(q *question, e string) {
		q.target = "/api/v1/label/secret/values?" + url.Values{"match[]": {e}}.Encode()
	}},
	{"GET values of secret, no selector", true, func(q *question, _ string) {
		q.target = "/api/v1/label/secret/values"
	}},
	{"GET values of tenant", false, func(q *question, e string) {
		q.target = "/api/v1/label/" + tenantLabel + "/values?" + url.Values{"match[]": {e}}.Encode()
	}},
	{"GET federate", true, func(q *question, e string) {
		q.target = "/federate?" + url.Values{"match[]": {e}}.Encode()
	}},
	{"GET federate, two selectors", true, func(q *question, e string) {
		q.target = "/federate?" + url.Values{"match[]": {"marker", e}}.Encode()
	}},
}

// expressions are what is asked for.
func expressions(own, other string) []string {
	return []string{
		`marker`,
		fmt.Sprintf(`marker{tenant=%q}`, other),
		`marker{tenant=~".+"}`,
		fmt.Sprintf(`{tenant=%q}`, other),
		fmt.Sprintf(`{__name__=~".+",tenant!=%q}`, own),
		fmt.Sprintf(`marker{tenant=~"%s|%s"}`, own, other),
		fmt.Sprintf(`marker{tenant=%q,tenant=%q}`, own, other),
		fmt.Sprintf(`marker or marker{tenant=%q}`, other),
		fmt.Sprintf(`max_over_time(marker{tenant=%q}[1h:1s])`, other),
		fmt.Sprintf(`label_replace(marker{tenant=%q},"tenant","","","")`, other),
		`sum by (tenant, secret) (marker)`,
		fmt.Sprintf("marker{tenant=%q} # }", other),
	}
}

// spoof is what a client sends beside its key.
type spoof struct {
	name   string
	header http.Header
}

// spoofs are headers by which a client could pass for the other organization.
func spoofs(own, other string) []spoof {
	return []spoof{
		{"none", nil},
		{"X-Scope-OrgID", http.Header{"X-Scope-OrgID": {other}}},
		{"x-scope-orgid twice", http.Header{"x-scope-orgid": {own, other}}},
		{"X-Scope-OrgID in two spellings", http.Header{"X-Scope-OrgID": {other}, "X-SCOPE-ORGID": {other}}},
		{"X-Scope-OrgID a|b", http.Header{"X-Scope-OrgID": {own + "|" + other}}},
		{"X-Scope-OrgID a, b", http.Header{"X-Scope-OrgID": {own + ", " + other}}},
		{"X-Scope-OrgID empty", http.Header{"X-Scope-OrgID": {""}}},
		{"X_Scope_OrgID", http.Header{"X_Scope_OrgID": {other}}},
		{"X.Scope.OrgID", http.Header{"X.Scope.OrgID": {other}, "X-Scope_OrgID": {other}}},
		{"named in Connection", http.Header{"Connection": {"X-Scope-OrgID, X-API-Key-ID, X-API-Key-Name"}}},
		{"named in Connection and sent", http.Header{"Connection": {"X-Scope-OrgID"}, "X-Scope-OrgID": {other}}},
		{"other identities", http.Header{"X-API-Key-Name": {"team-" + other + "/dashboards"}, "X-API-Key-ID": {"000000000000"}, "THANOS-TENANT": {other}, "X-Org-Id": {other}}},
	}
}

// credential is how a client shows its key.
type credential struct {
	name   string
	header func(key string) http.Header
}

// credentials are the ways to show a key. The first is the right one.
func credentials() []credential {
	const madeUp = "hxk_0000000000000000000000000000000000000000000000000"
	return []credential{
		{"own key", func(key string) http.Header { return http.Header{"X-API-Key": {key}} }},
		{"own key twice", func(key string) http.Header { return http.Header{"X-API-Key": {key, key}} }},
		{"own key and another", func(key string) http.Header { return http.Header{"X-API-Key": {key}, "X_API_Key": {madeUp}} }},
		{"own key as Bearer", func(key string) http.Header { return http.Header{"Authorization": {"Bearer " + key}} }},
		{"a made-up key", func(string) http.Header { return http.Header{"X-API-Key": {madeUp}} }},
		{"none", func(string) http.Header { return http.Header{} }},
	}
}

// questions are all combinations of a kind, an expression and a spoof with one's own key;
// of a write with each label, and a spoof; and of any credential with a spoof. Each of the
// first goes through one entrance, in turn, so that every spoof goes through all of them
// with many kinds; the others go through every entrance.
func questions(attacker, victim *tenant, entrances []string) []question {
	var all []question
	add := func(entrance string, s spoof, c credential, name, text string) *question {
		q := question{
			attacker: attacker, victim: victim, entrance: entrance, kind: name, spoof: s.name, credential: c.name, text: text,
			method: http.MethodGet, header: c.header(attacker.key),
		}
		maps.Copy(q.header, s.header)
		all = append(all, q)
		return &all[len(all)-1]
	}
	right := credentials()[0]
	for i, s := range spoofs(attacker.id, victim.id) {
		for j, k := range kinds {
			for l, expression := range expressions(attacker.id, victim.id) {
				k.make(add(entrances[(i+j+l)%len(entrances)], s, right, k.name, expression), expression)
			}
		}
		for _, entrance := range entrances {
			for _, labels := range [][]label{nil, {{tenantLabel, victim.id}}, {{tenantLabel, ""}}, {{tenantLabel, attacker.id}, {tenantLabel, victim.id}}} {
				text := fmt.Sprintf("series with %v", labels)
				add(entrance, s, right, writing, text).plant(len(all), labels)
			}
			for _, c := range credentials() {
				const everything = `{__name__=~".+"}`
				kinds[0].make(add(entrance, s, c, kinds[0].name, everything), everything)
			}
		}
	}
	return all
}

// plant makes the question one that writes a series, with who wrote it as a label.
func (q *question) plant(number int, more []label) {
	labels := append([]label{{"__name__", "planted"}, {"author", q.attacker.id}, {"how", fmt.Sprintf("%s %d", q.spoof, number)}, {"entrance", q.entrance}}, more...)
	q.method, q.target = http.MethodPost, recorder.RemoteWritePath
	body, err := writeRequest(labels, 1)
	if err != nil {
		panic(err) // a test's own labels
	}
	q.body = string(body)
	q.header.Set("Content-Encoding", "snappy")
	q.header.Set("Content-Type", "application/x-protobuf")
	q.header.Set("X-Prometheus-Remote-Write-Version", "0.1.0")
}

// misplaced are the series of the whole store that stand under another tenant than that
// which wrote them: the victim would read them as its own.
func (s *store) misplaced(ctx context.Context, tenants []*tenant) (leaks []string, err error) {
	body, err := fetch(ctx, s.prometheus.String()+"/api/v1/series?"+url.Values{"match[]": {`{__name__=~"planted|marker"}`}}.Encode())
	if err != nil {
		return nil, err
	}
	var answer struct{ Data []map[string]string }
	if err := json.Unmarshal(body, &answer); err != nil {
		return nil, err
	}
	authors := map[string]int{}
	for _, series := range answer.Data {
		authors[series["author"]]++
		if series[tenantLabel] != series["author"] {
			leaks = append(leaks, fmt.Sprintf("write: %s wrote as %q, by %s through %s", series["author"], series[tenantLabel], series["how"], series["entrance"]))
		}
	}
	for _, one := range tenants {
		if authors[one.id] < 2 {
			return nil, fmt.Errorf("the store has %d series of %s: nothing was planted", authors[one.id], one.id)
		}
	}
	return leaks, nil
}

func joinClose(err error, closer io.Closer) error { return errors.Join(err, closer.Close()) }
