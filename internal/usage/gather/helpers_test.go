// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package gather

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/apimachinery/pkg/types"

	"github.com/hexcovery/apikey-operator/internal/usage"
)

func pinOf(certificate []byte) string {
	sum := sha256.Sum256(certificate)
	return hex.EncodeToString(sum[:])
}

// requestsOf returns how many requests were gathered that bore a key of keyOf.
func requestsOf(l *Ledger, name string) int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	if v := l.versions[usage.ID{UID: types.UID(name), KeyID: "k"}]; v != nil {
		return v.requests
	}
	return 0
}

// values returns what a collector has, as a page of metrics shows it.
func values(t *testing.T, c prometheus.Collector) (lines []string) {
	t.Helper()
	registry := prometheus.NewPedanticRegistry()
	if err := registry.Register(c); err != nil {
		t.Fatal(err)
	}
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		for _, metric := range family.GetMetric() {
			var labels []string
			for _, pair := range metric.GetLabel() {
				labels = append(labels, pair.GetName()+"="+pair.GetValue())
			}
			value := metric.GetCounter().GetValue() + metric.GetGauge().GetValue()
			lines = append(lines, fmt.Sprintf("%s{%s} %.0f", family.GetName(), strings.Join(labels, ","), value))
		}
	}
	return lines
}
