// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package surface

import (
	_ "embed"
	"fmt"
)

// defaultYAML is the surface for whoever configures none. The same bytes are
// shipped as config/authserver/surface.yaml, to be read and to start from.
//
//go:embed default.yaml
var defaultYAML []byte

// Default returns the surface that is built in: OTLP ingest, queries, annotations
// and heartbeats.
func Default() *Table {
	table, err := Parse(defaultYAML)
	if err != nil {
		panic(fmt.Sprintf("built-in surface: %v", err)) // a test reads it
	}
	return table
}
