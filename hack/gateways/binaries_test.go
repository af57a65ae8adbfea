// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package gateways

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/hexcovery/apikey-operator/hack/build"
)

func TestProgramsArePinned(t *testing.T) {
	for program, pin := range pins {
		version, err := build.Pinned(filepath.Join("binaries", program), pin.module)
		if err != nil || !strings.HasPrefix(version, "v") {
			t.Errorf("%s: %s, %v", program, version, err)
		}
	}
	if _, err := build.Pinned(".", "github.com/caddyserver/caddy/v2"); err == nil {
		t.Error("a folder without go.mod pins something")
	}
}

func TestWhatIsNotInstalledIsNamed(t *testing.T) {
	_, err := installed("no-such-gateway")
	if err == nil || !strings.Contains(err.Error(), "no-such-gateway is not installed: apt-get install no-such-gateway") {
		t.Error(err)
	}
}
