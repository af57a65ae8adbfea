// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

// Package words holds the texts of the product to the glossary in CONTRIBUTING.md, and the
// messages for people to a length that people read.
package words
