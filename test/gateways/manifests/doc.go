// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

// Package manifests holds the configurations of config/gateways against what the
// gateways themselves say that a configuration is: their message types, and their
// CRDs on a real API server. Whatever they do not know is an error.
//
// The CRDs come from Go modules that crds/go.mod pins. Nothing of these modules is
// compiled, and none is a requirement of the module of this package.
//
// That a configuration is valid does not say that it is right: that is for package
// replay, and for the real gateways.
package manifests
