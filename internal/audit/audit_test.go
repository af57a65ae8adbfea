// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	testclock "k8s.io/utils/clock/testing"
)

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.FixedZone("elsewhere", 3600))

func TestAnEventIsOneLine(t *testing.T) {
	var out bytes.Buffer
	recorder := NewRecorder(&out, testclock.NewFakePassiveClock(noon))
	event := Event{Action: Minted, Namespace: "team", Name: "agent", UID: "u", Organization: "acme", KeyID: "0123456789ab", Message: "two\nlines"}
	if err := recorder.Record(event); err != nil {
		t.Fatal(err)
	}
	const want = `{"time":"2026-01-02T11:00:00Z","action":"Minted","namespace":"team","name":"agent","uid":"u","organization":"acme","keyID":"0123456789ab","message":"two\nlines"}` + "\n"
	if out.String() != want {
		t.Errorf("got  %swant %s", out.String(), want)
	}
}

func TestEventsOfManyGoroutinesStayWhole(t *testing.T) {
	var out bytes.Buffer
	recorder := NewRecorder(&out, testclock.NewFakePassiveClock(noon))
	var writers sync.WaitGroup
	for range 8 {
		writers.Go(func() {
			for range 100 {
				if err := recorder.Record(Event{Action: Revoked}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	writers.Wait()
	lines := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
	if len(lines) != 800 {
		t.Fatalf("%d lines, want 800", len(lines))
	}
	for _, line := range lines {
		if !json.Valid([]byte(line)) {
			t.Fatalf("not a whole line: %s", line)
		}
	}
}

type full struct{}

var errFull = errors.New("no space left")

func (full) Write([]byte) (int, error) { return 0, errFull }

func TestALostLineIsAnError(t *testing.T) {
	if err := NewRecorder(full{}, testclock.NewFakePassiveClock(noon)).Record(Event{}); !errors.Is(err, errFull) {
		t.Errorf("got %v, want %v", err, errFull)
	}
}
