// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package webhook

import (
	"os"
	"regexp"
	"testing"

	"k8s.io/apimachinery/pkg/api/resource"
)

// The defaults leave room for the keys below the memory limit of the sample deployment.
func TestTheDeploymentHasTheMemoryThatClientsTake(t *testing.T) {
	const keys = 64 << 20 // the program, and the index of some ten thousand
	manifest, err := os.ReadFile("../config/authserver/deployment.yaml")
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(`name: GOMEMLIMIT\n\s+value: (\d+Mi)B`).FindSubmatch(manifest)
	if found == nil {
		t.Fatal("no GOMEMLIMIT")
	}
	limit := resource.MustParse(string(found[1]))
	if most := ClientMemory(DefaultMaxConnections, DefaultMaxRequests) + keys; most > limit.Value() {
		t.Errorf("clients and keys may take %d MiB, more than %s", most>>20, found[1])
	}
}
