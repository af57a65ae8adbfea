// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hexcovery/apikey-operator/internal/audit"
	"github.com/hexcovery/apikey-operator/internal/surface"
)

func TestTheTrailHasRefusalsAndSurfaces(t *testing.T) {
	name := filepath.Join(t.TempDir(), "audit.log")
	options, err := parse([]string{"--audit-log", name}, func(string) string { return "" }, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	closeTrail, err := options.audit.open(t.Context(), options.leaseName)
	if err != nil {
		t.Fatal(err)
	}
	changed := options.audit.surfaceChanged("surface.yaml")
	changed(surface.Change{After: "11", Rules: 3})
	changed(surface.Change{Before: "11", After: "22", Rules: 3, Err: errors.New("no rules: " + strings.Repeat("x", 5000))})
	for range 3 {
		options.audit.refusals.Note(audit.Kind{Endpoint: "original", Reason: "unknown_key"})
	}
	closeTrail()

	file, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	verifier := audit.NewVerifier(audit.VerifierOptions{Closed: true, Report: func(d audit.Defect) { t.Error(d) }})
	if err := verifier.Read(name, file); err != nil {
		t.Fatal(err)
	}
	verifier.Finish()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	var refused int64
	reasons := map[string]int{}
	for line := range strings.Lines(string(data)) {
		var event audit.Event
		if err := json.Unmarshal([]byte(line), &event); err != nil {
			t.Fatal(err)
		}
		switch event.Action {
		case audit.Refused:
			refused += event.Count
			if event.Actor != audit.AuthServer(options.leaseName) {
				t.Errorf("%+v", event.Actor)
			}
		case audit.SurfaceChanged:
			reasons[event.Reason]++
			if event.Actor != audit.ByFile("surface.yaml") {
				t.Errorf("%+v", event.Actor)
			}
		default: // of the chain itself
		}
	}
	if refused != 3 || reasons["Accepted"] != 1 || reasons["Refused"] != 1 {
		t.Errorf("%d refusals, %v", refused, reasons)
	}
}
