// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

// Package faults breaks the real product, and checks that what it promises holds:
// three auth servers and two managers, each a process of its own behind a network of
// its own, on a real kube-apiserver and etcd.
//
// A client asks every auth server about every key, all the time, while keys are
// minted, suspended, replaced, retired and revoked. Meanwhile programs are killed and frozen, networks
// cut, servers restarted. Package oracle judges each answer:
//
//   - no request is accepted that was sent after the end of its key was reported as
//     complete, be it the APIKey that is gone, Registered=False with the reason
//     Revoked, or the version that is gone while its APIKey lives on;
//   - no valid key is refused with 401: not the one that is replaced, until somebody asks
//     for its end, and not its successor, from when it is in the Secret;
//   - when all is well again, everything that was asked for comes true, and every
//     auth server decides, within some seconds.
//
// What happens in a round is drawn from a seed, which is printed:
//
//	make test-faults ROUNDS=200 SEED=7
//	go test ./test/faults -args -rounds=20 -seed=7
//
// The same seed gives the same plan, though not the same timing.
//
// The suite is itself tested: make test-faults-mutants builds the product without
// each protective step of package mutation, and fails unless a violation is seen.
package faults
