// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/hexcovery/apikey-operator/hack/stack"
)

// residentMemory asks an auth server's metrics, in bytes.
func residentMemory(ctx context.Context, server *stack.AuthServer) (float64, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, server.Operations+"/metrics", nil)
	if err != nil {
		return 0, fmt.Errorf("memory: %w", err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, fmt.Errorf("memory: %w", err)
	}
	defer response.Body.Close()
	for lines := bufio.NewScanner(response.Body); lines.Scan(); {
		if value, ok := strings.CutPrefix(lines.Text(), "process_resident_memory_bytes "); ok {
			return strconv.ParseFloat(value, 64)
		}
	}
	return 0, errors.New("memory: the auth server's metrics do not say, as on all but Linux")
}

// mostMemory looks until ctx is done.
func mostMemory(ctx context.Context, server *stack.AuthServer) (most float64, err error) {
	ticker := time.NewTicker(watchPeriod)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return most, nil
		case <-ticker.C:
		}
		memory, err := residentMemory(context.WithoutCancel(ctx), server)
		if err != nil {
			return most, err
		}
		most = max(most, memory)
	}
}
