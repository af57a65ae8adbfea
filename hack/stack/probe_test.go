// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package stack

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// replica answers with a status that can be changed.
func replica(t *testing.T, status *atomic.Int64) *http.Request {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(int(status.Load())) }))
	t.Cleanup(server.Close)
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	return request
}

func TestProbeSeesEachRefusal(t *testing.T) {
	var first, second atomic.Int64
	first.Store(http.StatusOK)
	second.Store(http.StatusOK)
	probe := StartProbe(t.Context(), replica(t, &first), replica(t, &second))
	defer probe.Stop()
	if err := probe.Accepted(); err != nil {
		t.Fatal(err)
	}
	changed := time.Now()
	first.Store(http.StatusUnauthorized)
	second.Store(http.StatusUnauthorized)
	refusals, err := probe.Refused()
	if err != nil || len(refusals) != 2 {
		t.Fatalf("%v, %v", refusals, err)
	}
	for _, refusal := range refusals {
		if refusal.Accepted == 0 || refusal.At.Before(changed) || !refusal.LastAcceptedSent.Before(refusal.At) {
			t.Errorf("%+v", refusal)
		}
	}
}

func TestProbeFailsOnAnyOtherAnswer(t *testing.T) {
	var status atomic.Int64
	status.Store(http.StatusServiceUnavailable)
	probe := StartProbe(t.Context(), replica(t, &status))
	defer probe.Stop()
	if err := probe.Accepted(); err == nil || !strings.Contains(err.Error(), "503") {
		t.Errorf("accepted: %v", err)
	}
	if _, err := probe.Refused(); err == nil {
		t.Error("refused")
	}
}
