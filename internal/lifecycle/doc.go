// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

// Package lifecycle decides what becomes of an APIKey. It is pure: [Facts] go in, a [Plan]
// comes out. No function here takes a client, a clock or a context.
//
//	observe            Facts: the APIKey, its Organization, namespace and Secrets, what auth
//	   │               servers have applied, what keys are used for, the time
//	   ▼
//	Decide(Facts)      Plan: questions whose answers are missing, or one write, or when to
//	   │               look again
//	   ▼
//	act                answers the questions, or makes the write, and Decide sees the Facts
//	                   that come of it; until nothing is left to do
//
// What was decided about versions is stored before anything rests on it: an auth server is
// asked only for what the API server has, and a Secret is written only after the status that
// it follows from. So a process may end between any two writes.
//
// One file has one subject: admission, imports, revocation, secret, pin, mint, acknowledge,
// publish, rotate, retire, deletion, expiry, drift; conditions says how it all stands, and
// transitions what has happened between two statuses.
//
// It must never publish a key that an auth server may call unknown, nor have one accepted
// again that was revoked.
package lifecycle
