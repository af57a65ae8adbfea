// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package surface

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"testing"

	"github.com/go-logr/logr"
)

func TestEachChangeOfAFileIsTold(t *testing.T) {
	name := filepath.Join(t.TempDir(), "surface.yaml")
	digest := func(content string) string {
		sum := sha256.Sum256([]byte(content))
		return hex.EncodeToString(sum[:])
	}
	first, second, bad := naming("/first"), naming("/second"), "no surface"
	if err := os.WriteFile(name, []byte(first), 0o600); err != nil {
		t.Fatal(err)
	}
	var told []Change
	f, err := Open(FileConfig{Name: name, Log: logr.Discard(), Changed: func(c Change) { told = append(told, c) }})
	if err != nil {
		t.Fatal(err)
	}
	f.take(reading{data: []byte(second)})
	f.take(reading{data: []byte(bad)})
	f.take(reading{err: os.ErrNotExist})
	f.take(reading{data: []byte(second)}) // as it is in force: no change
	for i, want := range []struct {
		before, after string
		refused       bool
	}{
		{"", digest(first), false},
		{digest(first), digest(second), false},
		{digest(second), digest(bad), true},
		{digest(second), "", true},
	} {
		if i >= len(told) {
			t.Fatalf("told %d times", len(told))
		}
		if got := told[i]; got.Before != want.before || got.After != want.after || (got.Err != nil) != want.refused || got.Rules == 0 {
			t.Errorf("%d: %+v, want %+v", i, got, want)
		}
	}
	if len(told) != 4 {
		t.Errorf("told %d times", len(told))
	}
}
