// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package serve

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	testingclock "k8s.io/utils/clock/testing"

	"github.com/hexcovery/apikey-operator/internal/serving"
	"github.com/hexcovery/apikey-operator/internal/usage"
)

var epoch = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// newServer makes a Server that everybody may ask, without its listener.
func newServer(t *testing.T) (*Server, *usage.Counter, *testingclock.FakeClock, *prometheus.Registry) {
	t.Helper()
	clock, registry := testingclock.NewFakeClock(epoch), prometheus.NewRegistry()
	table := usage.NewTable(clock)
	s, err := New(Config{
		Table: table, Process: "p", Finish: func() {}, HandOverTimeout: 15 * time.Second, Clock: clock, Log: logr.Discard(), Connections: serving.NewMetrics(),
		Filter: func(_ logr.Logger, next http.Handler) (http.Handler, error) { return next, nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	registry.MustRegister(s)
	return s, table.Hold("a", "k", false), clock, registry
}

func post(s *Server, method, body string) *httptest.ResponseRecorder {
	recorder := httptest.NewRecorder()
	s.http.Handler.ServeHTTP(recorder, httptest.NewRequest(method, usage.Path, strings.NewReader(body)))
	return recorder
}

func TestQuestionsAreChecked(t *testing.T) {
	s, counter, _, _ := newServer(t)
	counter.Count(epoch)
	for name, test := range map[string]struct {
		method, body string
		code         int
	}{
		"another process": {"POST", `{"process":"q"}`, http.StatusConflict},
		"no process":      {"POST", `{}`, http.StatusConflict},
		"no JSON":         {"POST", `process`, http.StatusBadRequest},
		"nothing":         {"POST", ``, http.StatusBadRequest},
		"too long":        {"POST", `{"process":"` + strings.Repeat("p", usage.MaxQuestionBytes) + `"}`, http.StatusBadRequest},
		"another method":  {"GET", ``, http.StatusMethodNotAllowed},
	} {
		if got := post(s, test.method, test.body).Code; got != test.code {
			t.Errorf("%s: %d, want %d", name, got, test.code)
		}
	}
	if s.asked.Load() {
		t.Error("a manager was taken to gather here")
	}
	var answer usage.Answer
	if err := json.Unmarshal(post(s, "POST", `{"process":"p"}`).Body.Bytes(), &answer); err != nil {
		t.Fatal(err)
	}
	if answer.Process != "p" || answer.Final || len(answer.Versions) != 1 || answer.Versions[0].Requests != 1 {
		t.Errorf("%+v", answer)
	}
}

func TestOnlyWhoHasFinishedIsLetGo(t *testing.T) {
	s, counter, clock, _ := newServer(t)
	counter.Count(epoch)
	post(s, "POST", `{"process":"p","taken":true}`)
	select {
	case <-s.taken:
		t.Fatal("let go while it counts")
	default:
	}
	done := make(chan struct{})
	go func() { defer close(done); s.HandOver(t.Context()) }()
	for !clock.HasWaiters() && t.Context().Err() == nil {
		runtime.Gosched()
	}
	post(s, "POST", `{"process":"p"}`)
	select {
	case <-s.taken:
		t.Fatal("let go by who has not taken everything")
	default:
	}
	if answer := post(s, "POST", `{"process":"p","taken":true}`); !strings.Contains(answer.Body.String(), `"final":true`) {
		t.Error(answer.Body)
	}
	<-done
}

func TestWhatNobodyTakesIsLost(t *testing.T) {
	s, counter, clock, registry := newServer(t)
	counter.Count(epoch)
	post(s, "POST", `{"process":"p"}`)
	counter.Count(epoch)
	counter.Count(epoch)
	done := make(chan struct{})
	go func() { defer close(done); s.HandOver(t.Context()) }()
	for !clock.HasWaiters() && t.Context().Err() == nil {
		runtime.Gosched()
	}
	clock.Step(15 * time.Second)
	<-done
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		if family.GetName() == "apikey_usage_lost_requests_total" && family.GetMetric()[0].GetCounter().GetValue() != 2 {
			t.Errorf("%v", family)
		}
	}
	if len(families) != 2 {
		t.Errorf("%d metrics", len(families))
	}
}
