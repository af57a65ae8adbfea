// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

// Package oracle judges what auth servers answered, by what clients could know when
// they asked. It knows nothing of how the product works.
//
// A client has seen a key become ready, has asked for its end, and has seen that end
// reported as complete. Each is noted with the time at which the client knew. From
// that follow what answers are wrong:
//
//	        Ready seen      DELETE is about to be sent     gone seen
//	────────────┼──────────────────────┼────────────────────────┼──────────►
//	 anything       200, or 503 while       anything but           401, or 503 while
//	                a fault lasts           nonsense               a fault lasts
//
// A request is judged by a state only if the key was in it from before the request
// was sent until after the answer was received. That never blames an answer that
// was right when it was given.
package oracle
