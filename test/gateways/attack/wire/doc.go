// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

// Package wire is a server of HTTP/1 and HTTP/2 without TLS that takes what it is
// given: it keeps the names of headers as they were spelled, their order and their
// repetitions, and reads what a standard library would refuse. Attackers do not
// keep to the standard, and neither do all of those whom they attack.
package wire
