// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package stack

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// metric returns the value of a metric of the manager, as its page has it.
func metric(t *testing.T, manager *Manager, name string) string {
	t.Helper()
	response, err := http.Get(manager.Metrics + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	page, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.SplitSeq(string(page), "\n") {
		if value, ok := strings.CutPrefix(line, name+" "); ok {
			return value
		}
	}
	return ""
}

// The programs find each other, with the rights that they have, and an auth server that
// stops hands over.
func TestUsageIsGathered(t *testing.T) {
	s, err := Start(t.Context(), Options{
		AuthServers: 1, Log: t.Output(),
		ManagerFlags:    []string{"--usage-gather-interval=100ms"},
		AuthServerFlags: []string{"--usage-handover-timeout=20s"},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
	})
	deadline := time.After(30 * time.Second)
	tick := time.Tick(100 * time.Millisecond)
	for heard := ""; heard == "" || heard == "0"; heard = metric(t, s.Manager, `apikey_usage_gatherings_total{result="success"}`) {
		select {
		case <-deadline:
			t.Fatal("the auth server was never heard")
		case <-tick:
		}
	}
	began := time.Now()
	if err := s.AuthServers[0].Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(began); took > 15*time.Second {
		t.Errorf("it has waited for %s", took)
	}
	if gaps := metric(t, s.Manager, "apikey_usage_gaps_total"); gaps != "0" {
		t.Errorf("%s gaps", gaps)
	}
}
