// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package gateways

import (
	"path/filepath"
	"strings"
	"testing"
)

func TestProgramsArePinned(t *testing.T) {
	for program, want := range map[string]string{
		Caddy:          "github.com/caddyserver/caddy/v2/cmd/caddy",
		PromLabelProxy: "github.com/prometheus-community/prom-label-proxy",
	} {
		pkg, version, err := pinned(filepath.Join("binaries", program))
		if err != nil || pkg != want || !strings.HasPrefix(version, "v") {
			t.Errorf("%s: %s %s, %v", program, pkg, version, err)
		}
	}
	if _, _, err := pinned("."); err == nil {
		t.Error("a folder without go.mod pins something")
	}
}

func TestWhatIsNotInstalledIsNamed(t *testing.T) {
	_, err := installed("no-such-gateway", "some-package")
	if err == nil || !strings.Contains(err.Error(), "no-such-gateway is not installed: apt-get install some-package") {
		t.Error(err)
	}
}
