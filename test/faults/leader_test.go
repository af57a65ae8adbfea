// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package faults

import (
	"context"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/hexcovery/apikey-operator/hack/stack"
)

// leads reports whether a manager says, in its metrics, that it leads.
func leads(ctx context.Context, manager *stack.Manager) bool {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, manager.Metrics+"/metrics", nil)
	if err != nil {
		return false
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return false
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	return err == nil && strings.Contains(string(text), `leader_election_master_status{name="apikey-manager"} 1`)
}
