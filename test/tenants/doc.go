// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

// Package tenants attacks the product as one of its tenants would: with the rights that
// the roles edit and apikey-editor give in one namespace, on a real control plane, and
// against the real programs under their own rights. Each spec is an attack, and says what
// the others see meanwhile:
//
//   - a key that somebody else uses is accepted by every auth server, all the time;
//   - one that is suspended, and one that is deleted, is refused within a second;
//   - a new one becomes Ready.
//
// What must hold is what README.md, docs/security.md and docs/revocation.md say. Objects
// are YAML and maps, and not Go types: an attacker writes what the types cannot express,
// and what reads it here must not depend on the code that is attacked.
package tenants
