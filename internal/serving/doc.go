// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

// Package serving bounds what a client may hold of a server: connections, memory, and the
// time in which a request makes no progress.
//
//	Limit        how many connections a listener has, and how many of one client
//	Account      what all of them hold that was neither answered nor let in. Over HTTP/2 that
//	             is counted by frames, so that what net/http does by itself counts, too
//	Shares       how many requests are under way that were let in, and of one organization
//	Watch        a body that does not come, a response that nobody reads
//	AnswerFirst  an answer does not wait for a body that it does not depend on
//	IgnoreBody   the same, for handlers that read no body at all
//
// It promises that a client that makes no progress is disconnected within the bound, and
// that one that is slow but steady is not.
//
// It must never make two requests of what a client has sent as one: a connection whose
// body was not read to its end is closed.
package serving
