// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package gateways

import (
	"testing"

	"github.com/hexcovery/apikey-operator/webhook"
)

// The product is used here as it is in the tree beside this module.
func TestEveryRefusalHasAStatus(t *testing.T) {
	if status := webhook.UnknownKey.Status(); status != 401 {
		t.Errorf("an unknown key is refused with %d", status)
	}
}
