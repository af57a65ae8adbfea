// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package process

import (
	"strings"
	"testing"
)

func TestWhatDiesByItselfIsAnError(t *testing.T) {
	p := New("false", t.TempDir(), Launch{Path: "/bin/sh", Args: []string{"-c", "echo no such flag >&2; exit 3"}}, Answers("http://127.0.0.1:1"))
	err := p.Start(t.Context())
	if err == nil || !strings.Contains(err.Error(), "exit status 3") || !strings.Contains(err.Error(), "no such flag") {
		t.Errorf("%v", err)
	}
	if err := p.Stop(t.Context()); err != nil {
		t.Errorf("stop after a failed start: %v", err)
	}
}

func TestWhatIsMissingIsNamed(t *testing.T) {
	p := New("gone", t.TempDir(), Launch{Path: "/no/such/program"}, always)
	if err := p.Start(t.Context()); err == nil || !strings.Contains(err.Error(), "/no/such/program") {
		t.Errorf("%v", err)
	}
}
